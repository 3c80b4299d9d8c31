/** Takes out of docker's output what no two runs share: ids, names made up, times, ages, addresses of hardware, loads. */
import type { Recorded } from '../transcripts.ts';

const RULES: readonly (readonly [RegExp, string])[] = [
  [/overlay2\/[a-z0-9]{25}\b/g, 'overlay2/ID64'],
  [/\b6\.12\.\d+\+deb13(?:-cloud)?-amd64/g, 'KERNEL'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID'],
  [/\b[0-9a-f]{64}\b/g, 'ID64'],
  [/\b[0-9a-f]{12}\b/g, 'ID12'],
  [/\b[a-z0-9]{25}\b/g, 'ID25'],
  [/\b[A-Z2-7]{26}\b/g, 'LINK'],
  [/\b[a-z]+_[a-z]+\b(?=\)|,|$|\s|"})/gm, 'NAME'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| \+0000 UTC)?/g, 'TIME'],
  [/"(time|timeNano)":\d+/g, '"$1":N'],
  [/\b(?:Less than a second|About an? (?:minute|hour)|\d+ (?:second|minute|hour|day|week|month|year)s?)(?: ago)?\b/g, 'AGE'],
  [/\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d+ +(?:\d\d:\d\d|\d{4})/g, 'DATE'],
  [/\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g, 'MAC'],
  [/\bfe80::[0-9a-f:]+/g, 'FE80'],
  [/\b4026\d{6}\b/g, 'NSINO'],
  [/"Pid": \d+/g, '"Pid": N'],
  [/"(NFd|NGoroutines)":\d+/g, '"$1":N'],
  [/^(real|user|sys)\t\S+$/gm, '$1 T'],
  [/^\[ *\d+\.\d+\]/gm, '[T]'],
  [/^(#\d+ DONE) \S+$/gm, '$1 N'],
  [/^#\d+ transferring (?:context|dockerfile):.*\n/gm, ''],
  [/^#\d+ (?:exporting layers|writing image sha256:\w+|naming to \S+)\n/gm, ''],
  [/^(#\d+ (?:exporting layers|writing image sha256:\w+|naming to \S+)).* done$/gm, '$1 done'],
  [/^#\d+ exporting layers done\n/gm, ''],
  [/(Sending build context to Docker daemon) +\S+/g, '$1 SIZE'],
  [/(COPY|ADD) (multi|file|dir):[0-9a-f]+…/g, '$1 $2:HEX'],
  [/execDuration=\d+/g, 'execDuration=N'],
  [/\d+(?:\.\d+)?(?:B|kB|MB|KiB|MiB|GiB) \/ /g, 'SIZE / '],
  [/ \/ \d+(?:\.\d+)?(?:B|kB)\b/g, ' / SIZE'],
  [/\b\d+\.\d\d%/g, 'PERCENT'],
  [/\bveth[0-9a-f]{7}\b/g, 'VETH'],
  [/^\d+: ((?:eth\d|VETH)@if)\d+/gm, 'N: $1N'],
  [/\b(eth\d@if)\d+/g, '$1N'],
  [/^ +(?!1 )\d+ (?=root )/gm, 'PID '],
  [/^ *\d+ +(?:1 (?=\/usr\/bin\/containerd-shim)|\d+(?= {2}\\_ ))/gm, 'PID PPID '],
  [/\/dev\/vda1? on (\S+) type ext4 \(([\w,]*?)(?:,errors=remount-ro)?\)/g, '/dev/vda on $1 type ext4 ($2)'],
  [/[ \t]{2,}/g, '  '],
  [/ +$/gm, ''],
];

export function normal(text: string, _line: Recorded): string {
  return RULES.reduce((t, [rule, by]) => t.replace(rule, by), text);
}

/** Beside those: process ids and times of `docker top`, the image's size and digest, the order of a map's labels. */
const CONTAINERS: readonly (readonly [RegExp, string])[] = [
  [/^root +PID +\d+ +\d+ +\d\d:\d\d +(\S+) +[\d:]+/gm, 'root PID PPID C STIME $1 TIME'],
  [/^root +\d+ +\d+ +\d+ +\d\d:\d\d +(\S+) +[\d:]+/gm, 'root PID PPID C STIME $1 TIME'],
  [/^ *\d+ +(?=\/sbin\/docker-init|sleep)/gm, 'PID '],
  [/^ *\d+ +(\?) +(\w+) +\d:\d\d/gm, 'PID $1 $2 TIME'],
  [/\b3\.(?:59|6)MB\b/g, 'SIZE'],
  [/sha256:[0-9a-f]{3}$/gm, 'sha256:HEX'],
  [/tier=front,app=web/g, 'app=web,tier=front'],
];

export function containersNormal(text: string, line: Recorded): string {
  return CONTAINERS.reduce((t, [rule, by]) => t.replace(rule, by), normal(text, line));
}
