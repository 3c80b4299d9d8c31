/** Tab completion: commands, files, variables, users' words for tools with subcommands. Source: bash(1) "Completing". */
import { list, statOf, isDir } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { BUILTINS } from '../builtins/table.ts';
import { backslashQuote } from '../quote.ts';
import type { Shell } from '../state.ts';
import { get, names } from '../variables.ts';
import { SUBCOMMANDS } from './subcommands.ts';

export interface Completion {
  /** Where the word that is completed begins, in characters. */
  from: number;
  /** Whole candidates, sorted, as they would stand in the line. */
  words: string[];
  /** Put after a single candidate: a space, or nothing after a directory. */
  suffix: string;
  /** How candidates are listed: the last part of a path. */
  shown: string[];
}

/** What the word before the cursor may become. */
export function* complete(sh: Shell, before: string): Call<Completion> {
  const start = wordStart(before);
  const word = before.slice(start);
  const from = Array.from(before.slice(0, start)).length;
  const head = before.slice(0, start);
  const plain = word.replace(/\\(.)/g, '$1').replace(/^["']/, '');
  const variable = /\$\{?([A-Za-z_]*)$/.exec(word);
  if (variable) {
    const lead = word.slice(0, word.length - variable[1]!.length);
    const found = names(sh).filter((n) => n.startsWith(variable[1]!));
    return { from, words: found.map((n) => lead + n + (lead.endsWith('{') ? '}' : '')), suffix: ' ', shown: found };
  }
  const segment = head.split(/[|;&(]|\b(?:then|do|else)\b/).pop()!.trim();
  const command = segment.split(/\s+/).filter((w) => !/^\w+=/.test(w) && !['sudo', 'exec', 'time', 'command', 'watch', 'nohup'].includes(w));
  const isCommand = (command.length === 0 || command[0] === '') && !/[<>]\s*$/.test(head);
  if (isCommand && !plain.includes('/')) return yield* commands(sh, plain, from);
  const sub = isCommand ? [] : subcommands(command.filter((w) => !w.startsWith('-')), plain);
  if (sub.length > 0) return { from, words: sub, suffix: ' ', shown: sub };
  return yield* files(sh, word, plain, from, isCommand || command[0] === 'cd');
}

/** Index where the word at the end begins: after an unquoted blank or operator. */
function wordStart(text: string): number {
  let start = 0;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === '\\') i++;
    else if (c === '"' || c === "'") quote = c;
    else if (/[\s|;&()<>=:]/.test(c)) start = i + 1;
  }
  return start;
}

function* commands(sh: Shell, prefix: string, from: number): Call<Completion> {
  const all = new Set<string>();
  for (const name of [...Object.keys(BUILTINS), ...sh.functions.keys(), ...sh.aliases.keys(), 'if', 'for', 'while', 'case', 'until', 'function', 'select', 'time']) {
    if (name.startsWith(prefix)) all.add(name);
  }
  for (const dir of new Set((get(sh, 'PATH') ?? '').split(':'))) {
    for (const e of yield* list(dir)) if (e.name.startsWith(prefix) && e.type !== 'dir') all.add(e.name);
  }
  const words = [...all].sort();
  return { from, words, suffix: ' ', shown: words };
}

function subcommands(words: readonly string[], prefix: string): string[] {
  const table = SUBCOMMANDS[words.join(' ')];
  return table ? table.split(' ').filter((w) => w.startsWith(prefix)) : [];
}

function* files(sh: Shell, word: string, plain: string, from: number, dirsFirst: boolean): Call<Completion> {
  const cut = plain.lastIndexOf('/') + 1;
  const [dir, prefix] = [plain.slice(0, cut), plain.slice(cut)];
  const home = get(sh, 'HOME') ?? '/root';
  const at = dir.startsWith('~/') ? home + dir.slice(1) : dir === '' ? '.' : dir;
  const quote = /^["']/.exec(word)?.[0] ?? '';
  const words: string[] = [];
  const shown: string[] = [];
  let suffix = ' ';
  for (const e of yield* list(at)) {
    if (!e.name.startsWith(prefix) || (e.name.startsWith('.') && !prefix.startsWith('.'))) continue;
    const stat = e.type === 'link' ? yield* statOf(`${at}/${e.name}`) : null;
    const directory = e.type === 'dir' || (stat !== null && isDir(stat));
    if (dirsFirst && word !== '' && !directory && e.type !== 'file') continue;
    const path = dir + e.name;
    words.push(quote + (quote ? path : backslashQuote(path).replace(/^\\~/, '~')) + (directory ? '/' : ''));
    shown.push(e.name + (directory ? '/' : ''));
    if (directory) suffix = '';
    else suffix = quote || ' ';
  }
  return { from, words, suffix, shown };
}
