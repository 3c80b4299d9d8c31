/** systemd-cgls: the tree of control groups with their processes. Source: systemd-cgls(1). */
import type { Program } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { exists, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print } from '../lib/io.ts';

const ROOT = '/sys/fs/cgroup';

function* commandLine(pid: number): Call<string> {
  const line = (yield* tryRead(`/proc/${pid}/cmdline`))?.replace(/\0+$/, '').replace(/\0/g, ' ') ?? '';
  return line === '' ? `[${(yield* tryRead(`/proc/${pid}/comm`))?.trim() ?? '?'}]` : line;
}

function* populated(dir: string): Call<boolean> {
  return /populated 1/.test((yield* tryRead(`${dir}/cgroup.events`)) ?? 'populated 1');
}

/** Everything below a group, each line after `indent`. */
export function* treeOfCgroup(path: string, indent: string, all = false): Call<string> {
  const dir = path === '/' ? ROOT : ROOT + path;
  const pids = ((yield* tryRead(`${dir}/cgroup.procs`)) ?? '').split('\n').filter(Boolean).map(Number).filter((p) => p > 0).sort((a, b) => a - b);
  const groups: string[] = [];
  for (const e of yield* list(dir)) if (e.type === 'dir' && (all || (yield* populated(`${dir}/${e.name}`)))) groups.push(e.name);
  const width = Math.max(0, ...pids.map((p) => String(p).length));
  let out = '';
  for (const [i, pid] of pids.entries()) {
    const last = i === pids.length - 1 && groups.length === 0;
    out += `${indent}${last ? '└─' : '├─'}${String(pid).padStart(width)} ${yield* commandLine(pid)}\n`;
  }
  for (const [i, name] of groups.entries()) {
    const last = i === groups.length - 1;
    out += `${indent}${last ? '└─' : '├─'}${name}\n`;
    out += yield* treeOfCgroup(`${path === '/' ? '' : path}/${name}`, `${indent}${last ? '  ' : '│ '}`, all);
  }
  return out;
}

export const cgls: Program = command(function* (argv) {
  const given = parseOptions('a/all l/full no-pager k M/machine= u/unit=', argv.slice(1));
  const wanted = given.words.length > 0 ? given.words : ['/'];
  for (const word of wanted) {
    const path = word.startsWith(ROOT) ? word.slice(ROOT.length) || '/' : word.startsWith('/') ? word : `/${word}`;
    if (!(yield* exists(path === '/' ? ROOT : ROOT + path))) throw new Failed(`Failed to list cgroup tree: No such file or directory`);
    yield* print(`CGroup ${path}:\n${path === '/' ? '-.slice\n' : ''}${yield* treeOfCgroup(path, '', given.on.has('all'))}`);
  }
  return 0;
});
