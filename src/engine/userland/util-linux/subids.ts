/** newuidmap and newgidmap of shadow: write a process's id map, where /etc/subuid and /etc/subgid give its user those ids. Source: newuidmap(1). */
import { SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { readAccounts, userName } from '../coreutils/accounts.ts';
import { poke, statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, strerror } from '../lib/io.ts';

interface Range {
  inside: number;
  outside: number;
  count: number;
}

function* given(file: string, uid: number): Call<{ start: number; count: number }[]> {
  const name = userName(yield* readAccounts(), uid);
  return ((yield* tryRead(file)) ?? '').split('\n').map((line) => line.split(':')).filter(([who]) => who === name || who === String(uid)).map(([, start, count]) => ({ start: Number(start), count: Number(count) }));
}

function mapper(kind: 'uid' | 'gid'): Program {
  const program = `new${kind}map`;
  return function* (argv) {
    const [pid, ...numbers] = argv.slice(1);
    if (pid === undefined || numbers.length === 0 || numbers.length % 3 !== 0 || ![pid, ...numbers].every((one) => /^\d+$/.test(one))) {
      yield* complain(`usage: ${program} [<pid>|fd:<pidfd>] <${kind}> <lower${kind}> <count> [ <${kind}> <lower${kind}> <count> ] ... \n`);
      return 1;
    }
    const ranges: Range[] = [];
    for (let i = 0; i < numbers.length; i += 3) ranges.push({ inside: Number(numbers[i]), outside: Number(numbers[i + 1]), count: Number(numbers[i + 2]) });
    const there = yield* statOf(`/proc/${pid}`);
    if (!there) {
      yield* complain(`${program}: Could not open proc directory for target ${pid}\n`);
      return 1;
    }
    const uid = yield* sys('getuid');
    const own = kind === 'uid' ? uid : yield* sys('getgid');
    const allowed = yield* given(`/etc/sub${kind}`, uid);
    for (const { inside, outside, count } of ranges) {
      const mine = uid === 0 || (count === 1 && outside === own) || allowed.some((one) => outside >= one.start && outside + count <= one.start + one.count);
      if (mine) continue;
      yield* complain(`${program}: ${kind} range [${inside}-${inside + count}) -> [${outside}-${outside + count}) not allowed\n`);
      return 1;
    }
    try {
      yield* poke(`/proc/${pid}/${kind}_map`, ranges.map((r) => `${r.inside} ${r.outside} ${r.count}\n`).join(''));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`${program}: write to ${kind}_map failed: ${strerror(error)}\n`);
      return 1;
    }
    return 0;
  };
}

export const newuidmap = mapper('uid');
export const newgidmap = mapper('gid');
