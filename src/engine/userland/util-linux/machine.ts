/** lscpu, lsblk, lsmem: the machine's parts, from /proc and /sys. */
import { probe } from './blocks.ts';
import { tryRead } from '../lib/files.ts';
import { BadOption, parseOptions, lastValue } from '../lib/args.ts';
import { command, complain, print } from '../lib/io.ts';
import { humanSize } from '../coreutils/sizes.ts';
import { type ColumnSpec, render, type Row, rowOf } from './columns.ts';
import { readMounts } from './mounts.ts';

export const lscpu = command(function* (argv) {
  const o = parseOptions('a/all b/online c/offline e/extended? J/json p/parse? s= x/hex y B C/caches?', argv.slice(1));
  const info = (yield* tryRead('/proc/cpuinfo')) ?? '';
  const cpus = info.split(/\n\n+/).filter((c) => c.trim() !== '').map((c) => Object.fromEntries(c.split('\n').map((l) => l.split(/\s*:\s*/) as [string, string])) as Record<string, string>);
  const first = cpus[0] ?? {};
  const ids = cpus.map((c) => c.processor ?? '0');
  if (o.on.has('parse')) {
    yield* print(`# The following is the parsable format, which can be fed to other\n# programs. Each different item in every column has an unique ID\n# starting usually from zero.\n# CPU,Core,Socket,Node\n${ids.map((id) => `${id},${id},0,0\n`).join('')}`);
    return 0;
  }
  if (o.on.has('extended')) {
    const columns: ColumnSpec[] = ['CPU', 'NODE', 'SOCKET', 'CORE'].map((name) => ({ name, align: 'right' }));
    yield* print(render(ids.map((id) => rowOf({ CPU: id, NODE: '0', SOCKET: '0', CORE: id })), [...columns, { name: 'ONLINE' }], null, { headings: true, style: 'table', title: 'cpus' }).replace(/ONLINE/, 'ONLINE'));
    return 0;
  }
  const flags = (first.flags ?? '').split(' ');
  const range = ids.length > 2 ? `0-${ids.length - 1}` : ids.join(',');
  const rows: [string, string][] = [
    ['Architecture', 'x86_64'], ['CPU op-mode(s)', '32-bit, 64-bit'], ['Address sizes', first['address sizes'] ?? ''], ['Byte Order', 'Little Endian'], ['CPU(s)', String(ids.length)], ['On-line CPU(s) list', range],
    ['Vendor ID', first.vendor_id ?? ''], ['Model name', first['model name'] ?? ''], ['CPU family', first['cpu family'] ?? ''], ['Model', first.model ?? ''], ['Thread(s) per core', '1'], ['Core(s) per socket', String(ids.length)], ['Socket(s)', '1'],
    ['Stepping', first.stepping ?? ''], ['BogoMIPS', first.bogomips ?? ''], ['Flags', first.flags ?? ''],
    ...(flags.includes('vmx') ? ([['Virtualization', 'VT-x']] as [string, string][]) : flags.includes('svm') ? ([['Virtualization', 'AMD-V']] as [string, string][]) : []),
    ...(flags.includes('hypervisor') ? ([['Virtualization type', 'full']] as [string, string][]) : []), ['NUMA node(s)', '1'], ['NUMA node0 CPU(s)', range],
  ];
  const shown = rows.filter(([, value]) => value !== '');
  if (o.on.has('json')) {
    yield* print(`${JSON.stringify({ lscpu: shown.map(([field, data]) => ({ field: `${field}:`, data })) }, null, 3)}\n`);
    return 0;
  }
  const width = Math.max(...shown.map(([name]) => name.length)) + 2;
  yield* print(shown.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}\n`).join(''));
  return 0;
});

export const lsblk = command(function* (argv) {
  const o = parseOptions('a/all b/bytes d/nodeps f/fs i/ascii J/json l/list m n/noheadings o/output= p/paths P/pairs r/raw t', argv.slice(1));
  const mounts = yield* readMounts();
  const partitions = ((yield* tryRead('/proc/partitions')) ?? '').split('\n').slice(2).map((l) => l.trim().split(/\s+/)).filter((f) => f.length === 4).sort((a, b) => Number(a[0]) - Number(b[0]));
  const table = !['json', 'raw', 'pairs'].some((one) => o.on.has(one));
  const asked = o.words.map((word) => word.replace(/^.*\//, ''));
  for (const [i, name] of asked.entries()) {
    if (partitions.some((one) => one[3] === name)) continue;
    yield* complain(`lsblk: ${o.words[i]}: not a block device\n`);
    if (asked.length === 1) return 32;
  }
  const rows = new Map<string, Row>();
  const top: Row[] = [];
  for (const [major, minor, blocks, name] of partitions as [string, string, string, string][]) {
    const at = mounts.filter((m) => m.source === `/dev/${name}` && m.root === '/').map((m) => m.target);
    const readOnly = ((yield* tryRead(`/sys/block/${name}/ro`)) ?? '0').trim();
    const found = yield* probe(`/dev/${name}`);
    const parent = [...rows.keys()].find((r) => name.startsWith(r) && /^p?\d+$/.test(name.slice(r.length)));
    const row = rowOf({
      NAME: o.on.has('paths') ? `/dev/${name}` : name, 'MAJ:MIN': table ? `${major.padStart(3)}:${minor.padEnd(3)}` : `${major}:${minor}`, RM: '0', SIZE: o.on.has('bytes') ? String(Number(blocks) * 1024) : humanSize(Number(blocks) * 1024).replace('.0', ''), RO: readOnly, TYPE: parent ? 'part' : name.startsWith('loop') ? 'loop' : 'disk',
      MOUNTPOINTS: at[0] ?? '', MOUNTPOINT: at[0] ?? '', FSTYPE: mounts.find((m) => m.source === `/dev/${name}`)?.type ?? (found ? 'ext4' : ''), UUID: found?.uuid ?? '', LABEL: found?.label ?? '',
      SERIAL: ((yield* tryRead(`/sys/block/${name}/serial`)) ?? '').trim(),
    });
    rows.set(name, row);
    if (asked.length > 0 && asked.includes(name)) top.push(row);
    else if (parent && !o.on.has('nodeps')) rows.get(parent)!.children.push(row);
    else if (!parent && asked.length === 0) top.push(row);
  }
  const names = lastValue(o, 'output')?.toUpperCase().split(',') ?? (o.on.has('fs') ? ['NAME', 'FSTYPE', 'LABEL', 'UUID', 'MOUNTPOINTS'] : ['NAME', 'MAJ:MIN', 'RM', 'SIZE', 'RO', 'TYPE', 'MOUNTPOINTS']);
  const right = new Set(['SIZE', 'RM', 'RO']);
  for (const name of names) if (!['NAME', 'MAJ:MIN', 'RM', 'SIZE', 'RO', 'TYPE', 'MOUNTPOINTS', 'MOUNTPOINT', 'FSTYPE', 'UUID', 'LABEL', 'SERIAL'].includes(name)) throw new BadOption(`unknown column: ${name}`);
  const style = o.on.has('json') ? 'json' : o.on.has('raw') ? 'raw' : o.on.has('pairs') ? 'pairs' : 'table';
  yield* print(render(top, names.map((name) => (right.has(name) ? { name, align: 'right', ...(name === 'SIZE' && { hint: 5 }) } : { name })), o.on.has('list') || style === 'raw' ? null : 'NAME', { headings: !o.on.has('noheadings'), style, title: 'blockdevices', ascii: o.on.has('ascii') }));
  return 0;
});

export const lsmem = command(function* () {
  const total = Number(/^MemTotal:\s+(\d+)/m.exec((yield* tryRead('/proc/meminfo')) ?? '')?.[1] ?? 0) * 1024;
  yield* print(`Memory block size:       128M\nTotal online memory:     ${humanSize(Math.ceil(total / 134217728) * 134217728).replace('.0', '')}\nTotal offline memory:      0B\n`);
});

export const lsmod = command(function* () {
  yield* print(`Module                  Size  Used by\n${((yield* tryRead('/proc/modules')) ?? '').split('\n').filter(Boolean).map((l) => { const f = l.split(' '); return `${f[0]!.padEnd(19)} ${f[1]!.padStart(8)}  ${f[2]}${f[3] === '-' ? '' : ` ${f[3]!.replace(/,$/, '')}`}\n`; }).join('')}`);
});

