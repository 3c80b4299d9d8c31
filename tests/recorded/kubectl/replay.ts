/** Replays a recorded transcript line by line on a small door, and says which outputs are the recording's after normalising. */
import { readFileSync } from 'node:fs';
import { SERVED } from '../../../src/engine/world/recorded/kubectl.ts';
import { type Bench, bench, pass, type Result, run, words } from './door.ts';

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

/** Ages, times, generated names, addresses and the padding that follows from their lengths. */
export function normal(text: string): string {
  return text
    .replace(/[EWI]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ /g, 'KLOG ')
    .replace(/v1\.32\.4-dispatcher|v1\.32\.4|v1\.20\.2/g, 'VERSION')
    .replace(/ \(\d+s ago\)/g, '').replace(/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000/g, 'TIME').replace(/"?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"?/g, 'TIME')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID').replace(/resourceVersion: "\d+"/g, 'resourceVersion: RV').replace(/"resourceVersion": "\d+"/g, '"resourceVersion": RV')
    .replace(/\b(?:web|api|ds|x)-[0-9a-z]{8,10}-[0-9a-z]{5}\b/g, 'POD').replace(/\b(web|api)-[0-9a-f]*[0-9][0-9a-z]{7,9}\b/g, '$1-HASH').replace(/\b(web|api)-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b/g, '$1-HASH')
    .replace(/pod-template-hash[=:] ?"?[0-9a-z]+"?/g, 'pod-template-hash=HASH')
    .replace(/\b(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+[smhd]\b/g, 'AGE')
    .replace(/\b\d+\.\d+\.\d+\.\d+\b/g, 'IP').replace(/ {2,}/g, '  ').replace(/-{3,}/g, '---');
}

/** The bit of shell the recordings use: `;`, pipes from printf, echo and sed, head and tail. Null: more than that. */
export function shell(b: Bench, line: string): Result | null {
  const total: Result = { stdout: '', stderr: '', exit: 0 };
  let text = line;
  for (let at = text.indexOf('$('); at >= 0; at = text.indexOf('$(')) {
    const end = text.indexOf(')', at);
    const inner = shell(b, text.slice(at + 2, end));
    if (!inner) return null;
    text = text.slice(0, at) + inner.stdout.trim().split('\n').join(' ') + text.slice(end + 1);
  }
  for (const part of parts(text, ';')) {
    let stdin = '';
    let last: Result = { stdout: '', stderr: '', exit: 0 };
    for (const stage of parts(part, '|')) {
      const argv = words(stage.trim().replace(/2>&1/, ''));
      if (argv[0] === 'timeout') {
        last = run(b, argv.slice(2), stdin, Number(argv[1]));
        if (last.exit === 124) last.exit = 0;
      } else if (argv[0] === 'kubectl') last = run(b, argv, stdin);
      else if (argv[0] === 'printf' || argv[0] === 'echo') last = { stdout: argv[0] === 'echo' ? `${argv.slice(1).join(' ')}\n` : (argv[1] ?? '').replace(/\\n/g, '\n'), stderr: '', exit: 0 };
      else if (argv[0] === 'sed') {
        const m = /^s\/(.*?)\/(.*?)\/$/.exec(argv[1] ?? '');
        const source = b.files.get(`/root/${argv[2]}`);
        if (!m || source === undefined) return null;
        last = { stdout: source.split('\n').map((l) => l.replace(m[1]!, m[2]!)).join('\n'), stderr: '', exit: 0 };
      } else if (argv[0] === 'head' || argv[0] === 'tail') {
        const n = Number((argv[1] ?? '-10').replace(/\D/g, '') || 10);
        const lines = stdin.replace(/\n$/, '').split('\n');
        last = { stdout: `${(argv[0] === 'head' ? lines.slice(0, n) : lines.slice(-n)).join('\n')}\n`, stderr: last.stderr, exit: 0 };
      } else if (argv[0] === 'wc') last = { stdout: `${stdin.split('\n').length - 1}\n`, stderr: '', exit: 0 };
      else return null;
      stdin = last.stdout;
      total.stderr += last.stderr;
    }
    total.stdout += last.stdout;
    total.exit = last.exit;
  }
  return total;
}

function parts(text: string, by: string): string[] {
  const out: string[] = [];
  let quote = '';
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === '\\') i++;
      else if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === by) {
      out.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...out, text.slice(from)].filter((p) => p.trim() !== '');
}

export interface Outcome {
  n: number;
  cmd: string;
  exact: boolean;
  mine: Result | null;
  theirs: Recorded;
}

export function replay(file: string, before: (b: Bench) => void = () => {}, serving = true): Outcome[] {
  const b = bench({ hollow: 2, hollowNames: ['worker-1', 'worker-2'], serverVersion: 'v1.20.2' });
  b.serving = serving;
  const inputs = JSON.parse(readFileSync(new URL('inputs.json', import.meta.url), 'utf8')) as Record<string, string>;
  for (const [path, text] of Object.entries(inputs)) b.files.set(path, text);
  if (!serving) b.files.set('/root/.kube/config', 'contexts:\n- context:\n    namespace: x\n  name: c\n');
  else b.files.set('/root/.kube/config', SERVED);
  pass(b, 2);
  before(b);
  return recorded(file).map((theirs, n) => {
    const mine = shell(b, theirs.cmd);
    pass(b, 3);
    const exact = mine !== null && mine.exit === theirs.exit && normal(mine.stdout) === normal(theirs.stdout) && normal(mine.stderr) === normal(theirs.stderr);
    return { n, cmd: theirs.cmd, exact, mine, theirs };
  });
}
