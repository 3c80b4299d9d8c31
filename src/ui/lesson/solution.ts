/** A solution typed for the learner: its lines, and between them the directives that stand for keys and patience. */
import { act, play, run } from '../session/session.ts';
import { get, set } from '../store.ts';

const DIRECTIVE = /^#\s*(wait|key|tty)\s+(\S+)\s*$/;
const KEYS: Record<string, string> = { Enter: '\r', Tab: '\t', Esc: '\x1b', Up: '\x1b[A', Down: '\x1b[B', Space: ' ' };
const UNITS: Record<string, number> = { ms: 1e6, s: 1e9, m: 60e9 };

/** What a directive asks of a person, or null for a line to type; empty for patience. */
export function asked(line: string): string | null {
  const [, verb, argument] = DIRECTIVE.exec(line) ?? [];
  if (verb === undefined) return null;
  if (verb === 'key') return `press ${argument!.replace(/^C-/, 'Ctrl-')}`;
  return verb === 'tty' ? `in the terminal ${argument!.replace(/^(\d)$/, 'tty$1')}` : '';
}

export async function typeAll(lines: readonly string[]): Promise<void> {
  if (!get().running) play(true);
  for (const line of lines) {
    const [, verb, argument] = DIRECTIVE.exec(line) ?? [];
    if (verb === undefined) await run(line);
    else if (verb === 'tty') set({ tty: argument!.startsWith('tty') ? argument! : `tty${argument}` });
    else if (verb === 'key') await press(argument!);
    else await pass(argument!);
  }
}

async function press(key: string): Promise<void> {
  const control = /^C-(.)$/.exec(key);
  const data = control ? String.fromCharCode(control[1]!.toUpperCase().charCodeAt(0) & 31) : (KEYS[key] ?? key);
  await act({ do: 'type', tty: get().tty, data });
}

/** Until simulated time has passed; a paused world is not waited for. */
async function pass(duration: string): Promise<void> {
  const [, number, unit] = /^([\d.]+)(ms|s|m)$/.exec(duration) ?? [];
  const end = get().t + Number(number ?? 1) * (UNITS[unit ?? 's'] ?? 1e9);
  while (get().t < end && get().running) await new Promise((resolve) => setTimeout(resolve, 50));
}
