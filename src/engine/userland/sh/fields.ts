/**
 * Where expanded text goes: fields that grow piece by piece, each with the pattern that its unquoted characters make, and word
 * splitting by IFS. A sink that does not split gathers one field. Source: bash(1) "Word Splitting".
 */
import { quotePattern } from './pattern.ts';
import type { Shell } from './state.ts';
import { get } from './variables.ts';

export interface Field {
  text: string;
  /** The text with quoted characters escaped. */
  pattern: string;
  /** Holds an unquoted * ? or [. */
  glob: boolean;
}

export interface Sink {
  fields: Field[];
  current: Field | null;
  split: boolean;
  /** Greater than 0 in the word of ${x:-word}: there even literal text is split. */
  operand: number;
}

export function openSink(split: boolean): Sink {
  return { fields: [], current: null, split, operand: 0 };
}

/** Appends to the field at hand, beginning one if need be (even by an empty quoted string). */
export function put(sink: Sink, text: string, quoted: boolean): void {
  sink.current ??= { text: '', pattern: '', glob: false };
  const { current } = sink;
  current.text += text;
  current.pattern += quoted ? quotePattern(text) : text;
  if (!quoted && /[*?[]|[@+!]\(/.test(text)) current.glob = true;
}

export function endField(sink: Sink): void {
  if (!sink.current) return;
  sink.fields.push(sink.current);
  sink.current = null;
}

export function ifsOf(sh: Shell): string {
  return get(sh, 'IFS') ?? ' \t\n';
}

/** The result of an unquoted expansion. */
export function putSplit(sh: Shell, sink: Sink, text: string): void {
  if (!sink.split) {
    if (text !== '') put(sink, text, false);
    return;
  }
  const ifs = ifsOf(sh);
  if (ifs === '') {
    if (text !== '') put(sink, text, false);
    return;
  }
  const isSpace = (c: string): boolean => ifs.includes(c) && ' \t\n'.includes(c);
  let at = 0;
  const skipSpace = (): boolean => {
    const from = at;
    while (at < text.length && isSpace(text[at]!)) at++;
    return at > from;
  };
  if (skipSpace()) endField(sink);
  while (at < text.length) {
    const from = at;
    while (at < text.length && !ifs.includes(text[at]!)) at++;
    if (at > from) put(sink, text.slice(from, at), false);
    if (at >= text.length) return;
    skipSpace();
    if (at < text.length && ifs.includes(text[at]!) && !isSpace(text[at]!)) {
      at++;
      if (!sink.current) put(sink, '', true);
      skipSpace();
    }
    endField(sink);
  }
}
