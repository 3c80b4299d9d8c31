/**
 * Expansion of words, in bash's order: braces, tildes, parameters, commands and arithmetic, splitting, paths, quote removal.
 * Source: bash(1) EXPANSION.
 */
import { type ArithmeticExpansionPart, type CommandExpansionPart, parse, type ParsedScript, type Word, type WordPart } from 'unbash';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { evaluate } from './arithmetic.ts';
import { braces } from './brace.ts';
import { endField, type Field, openSink, put, putSplit, type Sink } from './fields.ts';
import { glob } from './glob.ts';
import { parameter } from './parameter.ts';
import { hasGlob } from './pattern.ts';
import { Bad, type Shell } from './state.ts';
import { get } from './variables.ts';

/** The words of a command after every expansion. */
export function* expandWords(sh: Shell, words: readonly Word[]): Call<string[]> {
  const out: string[] = [];
  for (const word of words) {
    for (const one of sh.flavour === 'bash' ? braced(word) : [word]) {
      const sink = openSink(true);
      yield* into(sh, one, sink);
      endField(sink);
      for (const field of sink.fields) yield* paths(sh, field, out);
    }
  }
  return out;
}

/** One string, neither split nor matched against files: an assignment's value, a case word. */
export function* expandOne(sh: Shell, word: Word, tilde: 'word' | 'assignment' = 'word'): Call<string> {
  const sink = openSink(false);
  yield* into(sh, word, sink, tilde);
  return sink.current?.text ?? '';
}

/** A pattern: what was quoted is escaped. */
export function* expandPattern(sh: Shell, word: Word): Call<string> {
  const sink = openSink(false);
  yield* into(sh, word, sink);
  return sink.current?.pattern ?? '';
}

/** The word as a redirection's target: expanded as an argument, and it must be one. */
export function* expandTarget(sh: Shell, word: Word): Call<string> {
  const all = yield* expandWords(sh, [word]);
  if (all.length !== 1) throw new Bad(`${word.text}: ambiguous redirect`);
  return all[0]!;
}

function* paths(sh: Shell, field: Field, out: string[]): Call<void> {
  if (field.glob && !sh.options.has('noglob') && hasGlob(field.pattern)) {
    const found = yield* glob(field.pattern, sh.shopts.has('dotglob'));
    if (found.length > 0) {
      out.push(...found);
      return;
    }
    if (sh.shopts.has('failglob')) throw new Bad(`no match: ${field.text}`);
    if (sh.shopts.has('nullglob')) return;
  }
  out.push(field.text);
}

const wordCache = new Map<string, Word>();

function braced(word: Word): Word[] {
  if (!word.parts?.some((p) => p.type === 'BraceExpansion')) return [word];
  return braces(word.text).map(wordOf);
}

/** Parses the text of one word. */
export function wordOf(text: string): Word {
  const known = wordCache.get(text);
  if (known) return known;
  const command = parse(`: ${text}`).commands[0]?.command;
  const found = command?.type === 'Command' ? (command.suffix[0] as Word | undefined) : undefined;
  const word: Word = found?.type === 'Word' ? found : { type: 'Word', text, value: text, pos: 0, end: text.length };
  if (wordCache.size > 2000) wordCache.clear();
  wordCache.set(text, word);
  return word;
}

function* into(sh: Shell, word: Word, sink: Sink, tilde: 'word' | 'assignment' = 'word'): Call<void> {
  if (!word.parts) {
    yield* literal(sh, word.text, sink, tilde, true);
    return;
  }
  for (const [i, part] of word.parts.entries()) {
    if (part.type === 'Literal') yield* literal(sh, part.text, sink, tilde, i === 0);
    else yield* expandPart(sh, part, sink, false);
  }
}

/** Unquoted text as written: backslashes quote, a tilde may stand for a directory. */
function* literal(sh: Shell, text: string, sink: Sink, tilde: 'word' | 'assignment', first: boolean): Call<void> {
  let at = first ? (/^[A-Za-z_]\w*=(?=~)/.exec(text)?.[0].length ?? 0) : 0;
  if (at > 0) put(sink, text.slice(0, at), false);
  for (let tildeHere = first; at < text.length; tildeHere = false) {
    if (tildeHere && text[at] === '~') {
      const end = /^~[^/:\\]*/.exec(text.slice(at))![0].length;
      const home = yield* tildeDir(sh, text.slice(at + 1, at + end));
      if (home !== null) {
        put(sink, home, true);
        at += end;
        if (at >= text.length) return;
      }
    }
    const from = at;
    while (at < text.length && text[at] !== '\\' && !(tilde === 'assignment' && text[at] === ':' && text[at + 1] === '~')) at++;
    if (at > from) {
      if (sink.operand > 0) putSplit(sh, sink, text.slice(from, at));
      else put(sink, text.slice(from, at), false);
    }
    if (at >= text.length) return;
    if (text[at] === '\\') {
      if (text[at + 1] !== '\n') put(sink, text[at + 1] ?? '\\', true);
      at += 2;
    } else {
      put(sink, ':', false);
      at++;
      yield* literal(sh, text.slice(at), sink, tilde, true);
      return;
    }
  }
}

function* tildeDir(sh: Shell, user: string): Call<string | null> {
  if (user === '') return get(sh, 'HOME') ?? '/root';
  if (user === '+') return get(sh, 'PWD') ?? null;
  if (user === '-') return get(sh, 'OLDPWD') ?? null;
  const passwd = yield* tryRead('/etc/passwd');
  const line = passwd?.split('\n').find((l) => l.startsWith(`${user}:`));
  return line?.split(':')[5] ?? null;
}

export function* expandPart(sh: Shell, part: WordPart, sink: Sink, quoted: boolean): Call<void> {
  switch (part.type) {
    case 'Literal':
      put(sink, part.value, quoted);
      return;
    case 'AnsiCQuoted':
      put(sink, sh.flavour === 'dash' ? `$${part.text.slice(2, -1)}` : part.value, true);
      return;
    case 'SingleQuoted':
      put(sink, part.value, true);
      return;
    case 'DoubleQuoted':
    case 'LocaleString':
      if (part.parts.length === 0) put(sink, '', true);
      for (const child of part.parts) yield* expandPart(sh, child, sink, true);
      return;
    case 'Glob':
    case 'ExtendedGlob':
      yield* globPart(sh, part, sink);
      return;
    case 'SimpleExpansion':
    case 'ParameterExpansion':
      yield* parameter(sh, part, sink, quoted, EXPANDER);
      return;
    case 'CommandExpansion':
      emit(sh, sink, yield* commandOutput(sh, part), quoted);
      return;
    case 'ArithmeticExpansion':
      emit(sh, sink, yield* arithmetic(sh, part), quoted);
      return;
    case 'ProcessSubstitution':
      put(sink, yield* sh.calls.processSubstitution(sh, part.script?.commands ?? [], sh.source, part.operator), true);
      return;
    case 'BraceExpansion':
      put(sink, part.text, false);
      return;
  }
}

function emit(sh: Shell, sink: Sink, value: string, quoted: boolean): void {
  if (quoted) put(sink, value, true);
  else putSplit(sh, sink, value);
}

function* globPart(sh: Shell, part: Extract<WordPart, { type: 'Glob' | 'ExtendedGlob' }>, sink: Sink): Call<void> {
  if (!part.parts || part.parts.every((p) => p.type === 'Literal')) {
    put(sink, part.text, false);
    return;
  }
  const open = part.type === 'Glob' ? '[' : `${part.operator}(`;
  put(sink, open, false);
  for (const child of part.parts) yield* expandPart(sh, child, sink, false);
  put(sink, part.type === 'Glob' ? ']' : ')', false);
}

function* commandOutput(sh: Shell, part: CommandExpansionPart): Call<string> {
  const script: ParsedScript | undefined = part.script;
  if (!script) return '';
  const source = script.source === undefined ? sh.source : { text: script.source, firstLine: sh.source.firstLine, name: sh.source.name };
  return yield* sh.calls.substitute(sh, script.commands, source);
}

function* arithmetic(sh: Shell, part: ArithmeticExpansionPart): Call<string> {
  const inner = part.text.startsWith('$((') ? part.text.slice(3, -2) : part.text.slice(2, -1);
  return (yield* evaluateText(sh, inner)).toString();
}

/** An arithmetic expression as written: expanded like a text in double quotes, then evaluated. */
export function* evaluateText(sh: Shell, text: string): Call<bigint> {
  return evaluate(sh, yield* expandText(sh, text));
}

function* expandText(sh: Shell, text: string): Call<string> {
  if (!/[$`"'\\]/.test(text)) return text;
  const parts = textParts(text);
  if (!parts) return text.replace(/"/g, '');
  const sink = openSink(false);
  for (const part of parts) yield* expandPart(sh, part, sink, true);
  return (sink.current?.text ?? '').replace(/"/g, '');
}

/** The parts of a text whose only special characters are $ ` and \, as in a here-document. */
export function textParts(text: string): readonly WordPart[] | null {
  let end = 'E';
  while (text.includes(end)) end += 'E';
  const command = parse(`:<<${end}\n${text}\n${end}\n`).commands[0]?.command;
  const redirect = command?.type === 'Command' ? command.redirects[0] : undefined;
  if (redirect?.type !== 'HereDoc' || !redirect.body.parts) return null;
  const parts = redirect.body.parts.slice();
  const last = parts.at(-1);
  if (last?.type === 'Literal') parts[parts.length - 1] = { ...last, value: last.value.replace(/\n$/, ''), text: last.text.replace(/\n$/, '') };
  return parts;
}

/** The body of a here-document. */
export function* expandHere(sh: Shell, body: { text: string; parts: readonly WordPart[] | undefined }): Call<string> {
  if (!body.parts) return body.text.replace(/\\([$`\\])/g, '$1').replace(/\\\n/g, '');
  const sink = openSink(false);
  for (const part of body.parts) yield* expandPart(sh, part, sink, true);
  return sink.current?.text ?? '';
}

/** Expands a prompt or another string as if in double quotes. */
export function* expandString(sh: Shell, text: string): Call<string> {
  const parts = textParts(text);
  if (!parts) return text;
  const sink = openSink(false);
  for (const part of parts) yield* expandPart(sh, part, sink, true);
  return sink.current?.text ?? '';
}

const EXPANDER = { into, expandOne, expandPattern, evaluateText, expandString };
export type Expander = typeof EXPANDER;
