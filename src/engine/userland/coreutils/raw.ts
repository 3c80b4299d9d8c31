/**
 * `sys NAME ARG…`: one raw system call, its result or its errno's name. Numbers, names of flags joined by |, JSON for lists
 * and records; anything else is a string.
 */
import * as abi from '../../kernel/abi.ts';
import type { Request } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { command, complain, Failed, print } from '../lib/io.ts';

/** Which argument of a call is bytes. */
const BYTES: Readonly<Record<string, number>> = { write: 1, pwrite64: 1, sendto: 1, sendmsg: 1, setxattr: 2 };

const CONSTANTS = new Map(Object.entries(abi).filter((e): e is [string, number] => typeof e[1] === 'number'));
for (const [name, number] of Object.entries(abi.SIG)) CONSTANTS.set(`SIG${name}`, number);

/** A word of the command line as the call's argument. */
export function argumentOf(word: string): unknown {
  if (/^-?(0x[0-9a-fA-F]+|\d+)$/.test(word)) {
    const digits = word.replace('-', '');
    const n = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
    return word.startsWith('-') ? -n : n;
  }
  if (/^[A-Z][A-Z0-9_]+(\|[A-Z0-9_x]+)*$/.test(word)) {
    const parts = word.split('|').map((w) => CONSTANTS.get(w) ?? (/^(0x[0-9a-f]+|\d+)$/i.test(w) ? Number(w) : undefined));
    if (parts.every((p) => p !== undefined)) return parts.length === 1 ? parts[0] : parts.reduce((a, b) => a! | b!, 0);
  }
  if (word === 'null' || word === 'NULL') return null;
  if (/^["[{]/.test(word)) {
    try {
      return JSON.parse(word);
    } catch {
      return word;
    }
  }
  return word;
}

export const rawCall = command(function* (argv) {
  const [, name, ...words] = argv;
  if (name === undefined) {
    yield* complain("Usage: sys NAME [ARG]...\nMakes one system call and prints its result or its errno's name.\nExample: sys openat AT_FDCWD /etc/hostname O_RDONLY\n");
    return 64;
  }
  if (name === 'clone') throw new Failed('not modelled: clone from the command line has no code to run; use unshare or setsid -f');
  const args = words.map((word, i) => (BYTES[name] === i ? bytes(word) : argumentOf(word)));
  try {
    const result = yield { op: 'sys', name, args } as unknown as Request;
    yield* print(`${shown(result)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof abi.SysError)) throw error;
    yield* print(`${error.errno}\n`);
    return 1;
  }
});

function shown(result: unknown): string {
  if (result instanceof Uint8Array) return text(result);
  if (typeof result === 'object' && result !== null) return JSON.stringify(result, (_, value) => (value instanceof Uint8Array ? text(value) : value));
  return String(result);
}
