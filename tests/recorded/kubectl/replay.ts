/** The recorded lines, and what no two runs share taken out of their texts. */
import { readFileSync } from 'node:fs';

export interface Recorded {
  scenario: string;
  cmd: string;
  stdout: string;
  stderr: string;
  exit: number;
  stdin?: string;
}

export function recorded(file: string): Recorded[] {
  return readFileSync(new URL(file, import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
}

/** Ages, times, generated names, addresses, which build it is, which of two nodes that score alike a pod got, and the padding that follows from lengths. */
export function normal(text: string): string {
  return text
    .replace(/[EWI]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ /g, 'KLOG ')
    .replace(/v1\.32\.4-dispatcher|v1\.32\.4|v1\.20\.2/g, 'VERSION')
    .replace(/ \(\d+s ago\)/g, '').replace(/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000/g, 'TIME')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \+0000(?: UTC)?/g, 'TIME').replace(/\/tmp\/(LIVE|MERGED)-\d+/g, '/tmp/$1-NAME').replace(/"?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"?/g, 'TIME')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID').replace(/resourceVersion: "\d+"/g, 'resourceVersion: RV').replace(/"resourceVersion": "\d+"/g, '"resourceVersion": RV')
    .replace(/\b(ds|j1|fromc|c1-\d+)-[bcdfghjklmnpqrstvwxz2456789]{5}\b/g, '$1-NAME').replace(/\(x\d+ over/g, '(xN over')
    .replace(/\bweb-[0-9a-z]{8,10}-[0-9a-z]{4,6}\/\d/g, 'POD').replace(/\b(?:web|api|ds|x)-[0-9a-z]{8,10}-[0-9a-z]{5}(?=_|\b)/g, 'POD').replace(/\b(web|api)-[0-9a-f]*[0-9][0-9a-z]{7,9}\b/g, '$1-HASH').replace(/\b(web|api)-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b/g, '$1-HASH')
    .replace(/pod-template-hash[=:] ?"?[0-9a-z]+"?/g, 'pod-template-hash=HASH')
    .replace(/\b(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+[smhd]\b/g, 'AGE')
    .replace(/^(Node: +|.* assigned default\/\S+ to )worker-\d/gm, '$1WORKER').replace(/default-token-[0-9a-z]{5}\b/g, 'default-token-NAME').replace(/"?(buildDate|gitCommit|gitTreeState|goVersion)"?: .*$/gm, '$1: BUILD')
    .replace(/\b\d+\.\d+\.\d+\.\d+\b/g, 'IP').replace(/ {2,}/g, '  ').replace(/-{3,}/g, '---');
}
