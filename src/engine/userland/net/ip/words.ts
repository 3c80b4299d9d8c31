/** The arguments of ip(8): a cursor over words, keywords that may be shortened, and the complaints iproute2 makes about them. */
import { Complaint } from '../rtnl.ts';

export interface Words {
  argv: readonly string[];
  at: number;
}

export const INCOMPLETE = 'Command line is not complete. Try option "help"';

export function peek(words: Words): string | undefined {
  return words.argv[words.at];
}

/** The next word; complains when there is none. */
export function need(words: Words): string {
  const word = words.argv[words.at];
  if (word === undefined) throw new Complaint(INCOMPLETE, 255);
  words.at++;
  return word;
}

/** Takes the next word if it is this keyword. */
export function take(words: Words, ...keywords: string[]): boolean {
  const word = peek(words);
  if (word === undefined || !keywords.includes(word)) return false;
  words.at++;
  return true;
}

/** The first keyword that `word` begins, as iproute2's `matches` finds it. */
export function matching(word: string, keywords: readonly string[]): string | undefined {
  return keywords.find((one) => one.startsWith(word));
}

/** `keyword` is the one that a word without any stands for. */
export function garbage(word: string, keyword = 'dev'): Complaint {
  return new Complaint(`Error: either "${keyword}" is duplicate, or "${word}" is garbage.`, 255);
}

/** The same without that line. */
export function wrongValue(word: string, why: string): Complaint {
  return new Complaint(`Error: argument "${word}" is wrong: ${why}`, 255);
}

export function wrong(word: string, why: string): Complaint {
  // What iproute2 says here ends with a line of its own.
  return new Complaint(`Error: argument "${word}" is wrong: ${why}\n`, 255);
}
