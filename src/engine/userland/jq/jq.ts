/** jq 1.7: options, inputs, outputs, exit statuses. Source: jq(1). */
import { bytes, text } from '../../sim/text.ts';
import type { ProgramTable } from '../programs.ts';
import { eachInput } from '../coreutils/streams.ts';
import { readText } from '../lib/files.ts';
import { nowNs } from '../lib/clock.ts';
import type { Call } from '../lib/http.ts';
import { SysError } from '../../kernel/abi.ts';
import { type Bytes, sys } from '../../kernel/sys.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { BadFilter, type Filter, parseFilter } from './parse.ts';
import { type Around, NO_MORE, requireDefined, run, topScope } from './run.ts';
import { JqError, type Layout, toJson, truth, type Value } from './values.ts';

interface Wish {
  flags: Set<string>;
  words: string[];
  variables: Map<string, Value>;
  files: Map<string, string>;
  layout: Layout;
  named: Record<string, Value>;
}

const SHORT: Readonly<Record<string, string>> = {
  c: 'compact-output', n: 'null-input', r: 'raw-output', j: 'join-output', s: 'slurp', R: 'raw-input', e: 'exit-status', S: 'sort-keys', a: 'ascii-output', C: 'color-output', M: 'monochrome-output', f: 'from-file', h: 'help', V: 'version',
};
const PLAIN = new Set([...Object.values(SHORT), 'tab', 'raw-output0', 'unbuffered', 'args', 'jsonargs', 'stream', 'seq']);

const USAGE = 'Use jq --help for help with command-line options,\nor see the jq manpage, or online docs  at https://jqlang.github.io/jq\n';

class BadUse extends Error {}

function readWish(args: readonly string[]): Wish {
  const wish: Wish = { flags: new Set(), words: [], variables: new Map(), files: new Map(), layout: { indent: '  ' }, named: {} };
  let rest: 'files' | 'args' | 'jsonargs' = 'files';
  let ended = false;
  const positional: Value[] = [];
  const queue = [...args];
  while (queue.length > 0) {
    const word = queue.shift()!;
    if (ended || !word.startsWith('-') || word === '-') {
      if (rest === 'files' || wish.words.length === 0) wish.words.push(word);
      else positional.push(rest === 'args' ? word : jsonArgument(word, 'positional'));
    } else if (word === '--') ended = true;
    else if (word.startsWith('--')) {
      const name = word.slice(2);
      if (name === 'arg' || name === 'argjson' || name === 'slurpfile' || name === 'rawfile') {
        if (queue.length < 2) throw new BadUse(`--${name} takes two parameters (e.g. --${name} ${name.endsWith('file') ? 'varname filename' : name === 'arg' ? 'varname value' : 'varname text'})`);
        const [key, value] = queue.splice(0, 2) as [string, string];
        if (name.endsWith('file')) wish.files.set(key, `${name}:${value}`);
        else wish.variables.set(key, name === 'arg' ? value : jsonArgument(value, `--argjson`));
      } else if (name === 'indent') {
        const width = Number(queue.shift() ?? Number.NaN);
        if (Number.isNaN(width)) throw new BadUse('--indent takes one parameter');
        if (width < 0 || width > 7) throw new BadUse(width < 0 ? 'Cannot indent less than zero characters' : 'Cannot indent more than 7 characters');
        wish.layout.indent = ' '.repeat(width);
      } else if (name === 'args' || name === 'jsonargs') rest = name;
      else if (PLAIN.has(name)) wish.flags.add(name);
      else throw new BadUse(`Unknown arguments`);
    } else {
      for (const letter of word.slice(1)) {
        if (!SHORT[letter]) throw new BadUse('Unknown arguments');
        wish.flags.add(SHORT[letter]);
      }
    }
  }
  if (wish.flags.has('tab')) wish.layout.indent = '\t';
  if (wish.flags.has('compact-output')) wish.layout.indent = '';
  wish.layout.sort = wish.flags.has('sort-keys');
  wish.layout.ascii = wish.flags.has('ascii-output');
  wish.named = { positional, named: Object.fromEntries(wish.variables) };
  return wish;
}

function jsonArgument(source: string, option: string): Value {
  try {
    return JSON.parse(source);
  } catch {
    throw new BadUse(`Invalid JSON text passed to ${option}`);
  }
}

class BadInput extends Error {}

/** The values of a text one after another. Throws BadInput at the first that is none. */
function* values(source: string): Generator<Value> {
  let at = 0;
  const place = (end: number): string => {
    const before = source.slice(0, end);
    const lines = before.split('\n');
    return `at line ${lines.length}, column ${lines.at(-1)!.length}`;
  };
  for (;;) {
    while (/\s/.test(source[at] ?? '')) at++;
    if (at >= source.length) return;
    const end = endOf(source, at);
    if (end === null) throw new BadInput(`Unfinished JSON term at EOF ${place(source.length)}`);
    try {
      yield JSON.parse(source.slice(at, end));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new BadInput(`${/^[[{]/.test(source[at]!) ? complaint(source.slice(at, end)) : end === source.length ? 'Invalid numeric literal at EOF' : 'Invalid numeric literal'} ${place(Math.min(end + 1, source.length))}`);
    }
    at = end;
  }
}

const complaint = (value: string): string => (/:\s*\}$/.test(value) ? "Unmatched '}'" : /,\s*[\]}]/.test(value) ? 'Expected another key-value pair' : /[{,]\s*[A-Za-z']/.test(value) ? 'Invalid literal' : 'Expected separator between values');

/** Where the value that begins here ends; null when the text does first. */
function endOf(source: string, start: number): number | null {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    const c = source[at]!;
    if (c === '"') {
      for (at++; source[at] !== '"'; at++) {
        if (at >= source.length) return null;
        if (source[at] === '\\') at++;
      }
      if (depth === 0) return at + 1;
    } else if (c === '{' || c === '[') depth++;
    else if (c === '}' || c === ']') {
      if (--depth <= 0) return at + 1;
    } else if (depth === 0) {
      const word = /^[^\s,:[\]{}"]+/.exec(source.slice(at));
      return at + (word ? word[0].length : 1);
    }
  }
  return null;
}

function* inputText(names: readonly string[]): Call<{ text: string; failed: boolean }> {
  const parts: Bytes[] = [];
  let failed = false;
  for (const name of names.length === 0 ? ['-'] : names) {
    if (name !== '-') {
      try {
        parts.push(bytes(yield* readText(name)));
      } catch (error) {
        failed = true;
        yield* complain(`jq: error: Could not open ${name}: ${error instanceof SysError ? strerror(error) : ''}\n`);
      }
      continue;
    }
    yield* eachInput('jq', [], function* ({ fd }) {
      for (;;) {
        const data = yield* sys('read', fd, 65536);
        if (data.length === 0) return;
        parts.push(data);
      }
    });
  }
  return { text: parts.map((part) => text(part)).join(''), failed };
}

function* program(wish: Wish): Call<Filter | null> {
  const [first] = wish.words;
  const source = wish.flags.has('from-file') ? yield* readText(first!) : first!;
  try {
    const filter = parseFilter(source);
    requireDefined(filter, new Set(), new Set([...wish.variables.keys(), ...wish.files.keys(), 'ARGS']));
    return filter;
  } catch (error) {
    if (!(error instanceof BadFilter)) throw error;
    yield* complain(`jq: error: ${error.message}${error.message.startsWith('syntax') ? ' (Unix shell quoting issues?)' : ''} at <top-level>, line 1:\n${source}\njq: 1 compile error\n`);
    return null;
  }
}

/** What `.` and `input` read, one after another. */
function inputsOf(wish: Wish, source: string): Iterable<Value> {
  if (wish.flags.has('raw-input')) return wish.flags.has('slurp') ? [source] : source.replace(/\n$/, '').split('\n').filter((_, i, all) => source !== '' || all.length > 1);
  return wish.flags.has('slurp') ? [[...values(source)]] : values(source);
}

/** Prints what the filter makes of each input; the exit status. */
function* filtered(wish: Wish, filter: Filter, source: string, env: Readonly<Record<string, string>>): Call<number> {
  let status = 0;
  let last: Value;
  const raw = wish.flags.has('raw-output') || wish.flags.has('join-output');
  try {
    const inputs = inputsOf(wish, source)[Symbol.iterator]();
    const around: Around = {
      now: (yield* nowNs()) / 1e9, env: { ...env },
      input() {
        const one = inputs.next();
        if (one.done) throw new JqError(NO_MORE);
        return one.value;
      },
    };
    for (const v of wish.flags.has('null-input') ? [null] : { [Symbol.iterator]: () => inputs }) {
      const variables = new Map<string, Value>([...wish.variables, ['ARGS', wish.named], ['ENV', { ...env }], ['__loc__', { file: '<top-level>', line: 1 }]]);
      try {
        for (const out of run(filter, topScope(around, variables), { v, path: null })) {
          last = out.v;
          yield* print(`${raw && typeof out.v === 'string' ? out.v : toJson(out.v, wish.layout)}${wish.flags.has('join-output') ? '' : '\n'}`);
        }
      } catch (error) {
        if (!(error instanceof JqError)) throw error;
        status = 5;
        yield* complain(`jq: error (at ${wish.flags.has('null-input') ? '<unknown>' : `<stdin>:${source.split('\n').length - 1}`}): ${error.message}\n`);
      }
    }
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    yield* complain(`jq: parse error: ${error.message}\n`);
    return 5;
  }
  if (status === 0 && wish.flags.has('exit-status')) return last === undefined ? 4 : truth(last) ? 0 : 1;
  return status;
}

const jq = command(function* (argv, env) {
  let wish: Wish;
  try {
    wish = readWish(argv.slice(1));
  } catch (error) {
    if (!(error instanceof BadUse)) throw error;
    yield* complain(`jq: error: ${error.message}\n${USAGE}`);
    return 2;
  }
  if (wish.flags.has('version')) {
    yield* print('jq-1.7.1\n');
    return 0;
  }
  if (wish.words.length === 0) {
    yield* complain(`jq: error: no filter given\n${USAGE}`);
    return 2;
  }
  for (const [name, file] of wish.files) {
    const [how, path] = [file.slice(0, file.indexOf(':')), file.slice(file.indexOf(':') + 1)];
    const source = yield* readText(path);
    wish.variables.set(name, how === 'rawfile' ? source : [...values(source)]);
  }
  const filter = yield* program(wish);
  if (!filter) return 3;
  const { text: source, failed } = wish.flags.has('null-input') && !/\binputs?\b/.test(JSON.stringify(filter)) ? { text: '', failed: false } : yield* inputText(wish.words.slice(1));
  const status = yield* filtered(wish, filter, source, env);
  return failed && status === 0 ? 2 : status;
});

export const jqTable: ProgramTable = { '/usr/bin/jq': jq };
