/** What a command of virsh is, what it may use, and what several of them share. A command returns false when it failed, having said why. */
import type { Call, DomainInfo } from '../libvirt/domains.ts';
import { LibvirtError } from '../libvirt/xml.ts';

export interface Context {
  /** One call of libvirtd; throws LibvirtError with its words. */
  call(method: string, args?: Record<string, unknown>): Call<unknown>;
  print(text: string): void;
  error(text: string): void;
  readFile(path: string): Call<string | null>;
  uri: string;
  /** -q: no heads, no closing empty lines. */
  quiet?: boolean;
  /** Joins this terminal with a domain's pty; false when it could not. */
  console?(name: string, pty: string): Call<boolean>;
  /** Puts out what was printed so far. */
  flush?(): Call<void>;
  /** -t: nanoseconds. */
  clock?(): Call<number>;
}

export interface Parsed {
  /** Arguments that are not options, in order. */
  words: string[];
  flags: Record<string, string | true>;
}

export interface Command {
  /** Names of the words; "domain" is looked up before the command runs. `?` may be left out, `*` may be many. */
  words: readonly string[];
  /** Which of the words and values are numbers, for messages. */
  numbers?: readonly string[];
  /** Options that are followed by a value. */
  values?: readonly string[];
  flags?: readonly string[];
  summary: string;
  run(c: Context, p: Parsed, domain: DomainInfo): Call<boolean>;
}

/** A table as virsh draws it: a space, the cell, two spaces; a rule under the heads. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[], quiet = false): string {
  const widths = heads.map((head, n) => Math.max(quiet ? 0 : head.length, ...rows.map((row) => row[n]!.length)));
  const line = (cells: readonly string[]): string => ` ${cells.map((cell, n) => (n === cells.length - 1 ? cell : cell.padEnd(widths[n]!))).join('   ')}`;
  if (quiet) return rows.map((row) => `${line(row)}\n`).join('');
  return `${[line(heads), '-'.repeat(widths.reduce((sum, w) => sum + w + 3, 0)), ...rows.map(line)].join('\n')}\n`;
}

const why = (error: unknown): string => {
  if (error instanceof LibvirtError) return error.message;
  throw error;
};

/** Tries a call; on refusal says `failed` and the daemon's words. */
export function* attempt(c: Context, failed: string, method: string, args: Record<string, unknown>): Call<unknown> {
  try {
    return yield* c.call(method, args);
  } catch (error) {
    const words = why(error);
    if (failed) c.error(failed);
    c.error(words);
    return undefined;
  }
}

export const simple = (summary: string, method: string, done: (name: string) => string, failed: (name: string) => string, more: Partial<Command> = {}, args: (p: Parsed) => Record<string, unknown> = () => ({})): Command => ({
  words: ['domain'], summary, ...more,
  *run(c, p, domain) {
    if ((yield* attempt(c, failed(domain.name), method, { domain: domain.name, ...args(p) })) === undefined) return false;
    c.print(done(domain.name));
    return true;
  },
});

export const field = (name: string, value: string | number): string => `${`${name}:`.padEnd(15)} ${value}\n`;
export const yes = (on: boolean): string => (on ? 'yes' : 'no');

export function printing(summary: string, text: (d: DomainInfo) => string): Command {
  return {
    words: ['domain'], summary,
    *run(c, _p, d) {
      c.print(text(d));
      return true;
    },
  };
}
