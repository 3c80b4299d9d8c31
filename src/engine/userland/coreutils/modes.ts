/** File modes: the ten letters of ls, and the modes that chmod, mkdir -m and umask understand. Source: chmod(1p). */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../kernel/abi.ts';

const LETTERS = new Map<number, string>([
  [S_IFREG, '-'], [S_IFDIR, 'd'], [S_IFLNK, 'l'], [S_IFCHR, 'c'], [S_IFBLK, 'b'], [S_IFIFO, 'p'], [S_IFSOCK, 's'],
]);

export function typeLetter(mode: number): string {
  return LETTERS.get(mode & S_IFMT) ?? '?';
}

/** "drwxr-xr-t". */
export function modeString(mode: number): string {
  let out = typeLetter(mode);
  for (const [shift, special, set, unset] of [[6, 0o4000, 's', 'S'], [3, 0o2000, 's', 'S'], [0, 0o1000, 't', 'T']] as const) {
    const bits = (mode >> shift) & 7;
    out += bits & 4 ? 'r' : '-';
    out += bits & 2 ? 'w' : '-';
    out += mode & special ? (bits & 1 ? set : unset) : bits & 1 ? 'x' : '-';
  }
  return out;
}

/** How a type is called by stat and find. */
export function typeName(mode: number, size: number): string {
  switch (mode & S_IFMT) {
    case S_IFREG: return size === 0 ? 'regular empty file' : 'regular file';
    case S_IFDIR: return 'directory';
    case S_IFLNK: return 'symbolic link';
    case S_IFCHR: return 'character special file';
    case S_IFBLK: return 'block special file';
    case S_IFIFO: return 'fifo';
    case S_IFSOCK: return 'socket';
    default: return size === 0 ? 'regular empty file' : 'regular file';
  }
}

export const isType = (mode: number, type: number): boolean => (mode & S_IFMT) === type;

/** The new permission bits of a file that has `old`, or null for a mode that is none. */
export function changedMode(spec: string, old: number, umask: number, directory: boolean): number | null {
  if (/^[0-7]{1,5}$/.test(spec)) {
    const octal = Number.parseInt(spec, 8);
    if (octal > 0o7777) return null;
    return directory && spec.length < 5 ? octal | (old & 0o6000) : octal;
  }
  let mode = old & 0o7777;
  for (const clause of spec.split(',')) {
    const m = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
    if (!m) return null;
    for (const action of m[2]!.matchAll(/([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g)) {
      mode = applied(mode, m[1]!, action[1]!, action[2]!, umask, directory);
    }
  }
  return mode;
}

function applied(mode: number, who: string, op: string, what: string, umask: number, directory: boolean): number {
  const all = who === '' || who.includes('a');
  let bits = 0;
  if (/^[ugo]$/.test(what)) bits = ((mode >> { u: 6, g: 3, o: 0 }[what as 'u']) & 7) * 0o111;
  else {
    if (what.includes('r')) bits |= 0o444;
    if (what.includes('w')) bits |= 0o222;
    if (what.includes('x') || (what.includes('X') && (directory || mode & 0o111))) bits |= 0o111;
    if (what.includes('s')) bits |= 0o6000;
    if (what.includes('t')) bits |= 0o1000;
  }
  let mask = 0;
  if (all || who.includes('u')) mask |= 0o4700;
  if (all || who.includes('g')) mask |= 0o2070;
  if (all || who.includes('o')) mask |= 0o1007;
  if (all) mask |= 0o1000;
  let change = bits & mask;
  if (who === '') change &= ~umask;
  if (op === '+') return mode | change;
  if (op === '-') return mode & ~change;
  const kept = directory ? 0o6000 : 0;
  return (mode & ~(mask & ~kept)) | change;
}
