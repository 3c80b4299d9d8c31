/** History: its file, moving through it, !-expansion. Source: bash(1) HISTORY EXPANSION. */
import { attempt, tryRead, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Shell } from '../state.ts';
import { get } from '../variables.ts';

function limit(sh: Shell, name: string): number {
  const value = Number(get(sh, name) ?? '500');
  return Number.isFinite(value) && value >= 0 ? value : 500;
}

export function* loadHistory(sh: Shell): Call<void> {
  const path = get(sh, 'HISTFILE');
  const stored = path ? yield* tryRead(path) : null;
  sh.history = (stored ?? '').split('\n').filter((l) => l !== '').slice(-limit(sh, 'HISTSIZE'));
  sh.historyRead = sh.history.length;
}

/** What this shell added goes to the end of the file. */
export function* saveHistory(sh: Shell): Call<void> {
  const path = get(sh, 'HISTFILE');
  if (!path || sh.history.length <= sh.historyRead) return;
  const stored = ((yield* tryRead(path)) ?? '').split('\n').filter((l) => l !== '');
  const all = [...stored, ...sh.history.slice(sh.historyRead).map((l) => l.replace(/\n/g, ' '))].slice(-limit(sh, 'HISTFILESIZE'));
  yield* attempt(writeFile(path, all.map((l) => `${l}\n`).join(''), 0o600), undefined);
}

export function addHistory(sh: Shell, line: string): void {
  const text = line.replace(/\n+$/, '');
  if (text.trim() === '') return;
  const control = get(sh, 'HISTCONTROL') ?? '';
  if (/ignorespace|ignoreboth/.test(control) && /^\s/.test(text)) return;
  if (/ignoredups|ignoreboth/.test(control) && sh.history.at(-1) === text) return;
  sh.history.push(text);
  const most = limit(sh, 'HISTSIZE');
  if (sh.history.length > most) {
    const over = sh.history.length - most;
    sh.history.splice(0, over);
    sh.historyRead = Math.max(0, sh.historyRead - over);
  }
}

/** The line with its ! references replaced; a message when one finds nothing. */
export function expandHistory(history: readonly string[], line: string): { line: string } | { fault: string } {
  const quick = /^\^([^^]+)\^([^^]*)\^?$/.exec(line);
  if (quick) {
    const last = history.at(-1);
    return last?.includes(quick[1]!) ? { line: last.replace(quick[1]!, () => quick[2]!) } : { fault: `:s${line}: substitution failed` };
  }
  let out = '';
  let single = false;
  let double = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (c === '\\') {
      out += c + (line[++i] ?? '');
      continue;
    }
    if (c === "'" && !double) single = !single;
    else if (c === '"' && !single) double = !double;
    else if (c === '#' && !single && !double && (i === 0 || /\s/.test(line[i - 1]!))) return { line: out + line.slice(i) };
    else if (c === '!' && !single && line[i - 1] !== '$' && !(line[i - 1] === '{' && line[i - 2] === '$')) {
      const rest = line.slice(i + 1);
      if (rest === '' || /^[\s=(]/.test(rest) || (double && rest.startsWith('"'))) {
        out += c;
        continue;
      }
      const found = reference(history, rest);
      if (found === null) return { fault: `!${/^[^\s;|&<>()]+/.exec(rest)?.[0] ?? rest}: event not found` };
      out += found.text;
      i += found.length;
      continue;
    }
    out += c;
  }
  return { line: out };
}

/** What stands after a "!": its text and how much of the line it takes. */
function reference(history: readonly string[], rest: string): { text: string; length: number } | null {
  const event = /^(!|-?\d+|\?[^?\n]+\??|[^\s:^$*"'();|&<>]+)?/.exec(rest)!;
  const spec = event[1] ?? '';
  let entry: string | undefined;
  if (spec === '' || spec === '!') entry = history.at(-1);
  else if (/^-?\d+$/.test(spec)) entry = Number(spec) < 0 ? history.at(Number(spec)) : history[Number(spec) - 1];
  else if (spec.startsWith('?')) entry = history.findLast((h) => h.includes(spec.slice(1).replace(/\?$/, '')));
  else entry = history.findLast((h) => h.startsWith(spec));
  if (entry === undefined) return null;
  const words = entry.trim().split(/\s+/);
  const designator = /^(:?[$^*]|:\d+)/.exec(rest.slice(spec.length))?.[0] ?? '';
  const length = spec.length + designator.length;
  const which = designator.replace(':', '');
  if (which === '') return spec === '' ? null : { text: entry, length };
  if (which === '$') return { text: words.at(-1)!, length };
  if (which === '^') return words[1] === undefined ? null : { text: words[1], length };
  if (which === '*') return { text: words.slice(1).join(' '), length };
  return words[Number(which)] === undefined ? null : { text: words[Number(which)]!, length };
}
