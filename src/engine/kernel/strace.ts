/** A system call as strace(1) writes it: names of flags, strings in quotes, errno with its text. What views and logs show. */
import * as abi from './abi.ts';
import type { CallRecord } from './records.ts';
import { text } from '../sim/text.ts';

const SHOWN = 48;

/** Flags of one prefix by value, for the calls whose argument at a position holds them. */
function flagsOf(prefix: string): [string, number][] {
  return Object.entries(abi).filter((entry): entry is [string, number] => entry[0].startsWith(prefix) && typeof entry[1] === 'number' && entry[0] !== 'O_ACCMODE');
}

const OPEN = flagsOf('O_');
const AT = flagsOf('AT_');
const CLONE = flagsOf('CLONE_');
const MOUNT = flagsOf('MS_');
const MMAP = flagsOf('MAP_');
const PROT = flagsOf('PROT_');
const SIGNALS = new Map<number, string>(Object.entries(abi.SIG).map(([name, number]) => [number, `SIG${name}`]));

const FLAGS: Record<string, Record<number, [string, number][]>> = {
  openat: { 2: OPEN }, newfstatat: { 2: AT }, unlinkat: { 2: AT }, fchownat: { 4: AT }, linkat: { 4: AT }, utimensat: { 4: AT }, unshare: { 0: CLONE },
  setns: { 1: CLONE }, mount: { 3: MOUNT }, umount2: { 1: [['MNT_FORCE', 1], ['MNT_DETACH', 2], ['MNT_EXPIRE', 4], ['UMOUNT_NOFOLLOW', 8]] }, mmap: { 1: PROT, 2: MMAP }, pipe2: { 0: OPEN }, dup3: { 2: OPEN },
};
const OCTAL: Record<string, number> = { openat: 3, mkdirat: 2, mknodat: 2, fchmodat: 2, umask: 0 };

function flagText(table: readonly [string, number][], value: number): string {
  const names: string[] = [];
  let left = value;
  if (table === OPEN && (value & abi.O_ACCMODE) === 0) names.push('O_RDONLY');
  for (const [name, bit] of [...table].sort((a, b) => b[1] - a[1])) {
    if (bit === 0 || bit < 0 || (left & bit) !== bit) continue;
    names.push(name);
    left &= ~bit;
  }
  if (left !== 0) names.push(`0x${(left >>> 0).toString(16)}`);
  return names.length > 0 ? names.join('|') : '0';
}

function quoted(value: string): string {
  const cut = value.length > SHOWN ? value.slice(0, SHOWN) : value;
  return JSON.stringify(cut) + (cut === value ? '' : '...');
}

function plain(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Uint8Array) return quoted(text(value));
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(plain).join(', ')}${value.length > 8 ? ', ...' : ''}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, one]) => typeof one !== 'function');
    return `{${entries.slice(0, 8).map(([key, one]) => `${key}=${plain(one)}`).join(', ')}${entries.length > 8 ? ', ...' : ''}}`;
  }
  return typeof value === 'number' && Math.abs(value) > 1e12 ? `0x${value.toString(16)}` : String(value ?? 'NULL');
}

function argument(name: string, index: number, value: unknown): string {
  if (typeof value === 'number') {
    if (value === abi.AT_FDCWD && index === 0) return 'AT_FDCWD';
    const flags = FLAGS[name]?.[index];
    if (flags) return flagText(flags, value);
    if (OCTAL[name] === index) return `0${value.toString(8)}`;
    if ((name === 'kill' && index === 1) || (name === 'rt_sigaction' && index === 0)) return SIGNALS.get(value) ?? String(value);
  }
  if (name === 'clone' && value !== null && typeof value === 'object') return `flags=${flagText(CLONE, (value as { flags?: number }).flags ?? 0)}|SIGCHLD`;
  if (name === 'execve' && index === 2 && value !== null && typeof value === 'object') return `/* ${Object.keys(value).length} vars */`;
  return plain(value);
}

export function argsText(call: CallRecord): string {
  return argsOf(call.name, call.args);
}

export function resultText(call: CallRecord): string {
  return resultOf(call.name, call.result, call.failed);
}

export function argsOf(name: string, args: readonly unknown[]): string {
  return args.map((value, index) => argument(name, index, value)).join(', ');
}

export function resultOf(name: string, result: unknown, failed: boolean): string {
  if (failed) {
    const errno = result as abi.Errno;
    return `-1 ${errno} (${abi.ERRNO[errno][1]})`;
  }
  if (name === 'read' || name === 'pread64') return result instanceof Uint8Array ? `${quoted(text(result))}` : plain(result);
  return plain(result);
}
