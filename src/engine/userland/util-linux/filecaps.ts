/** setcap and getcap: capabilities of files, in the bytes of security.capability. Source: setcap(8), getcap(8), libcap 2.75. Left out: --license. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, CAPABILITIES, S_IFDIR, S_IFREG, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { isType } from '../coreutils/modes.ts';
import { parseOptions } from '../lib/args.ts';
import { attempt, entriesAt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { capsOf, capText } from './identity.ts';

const NAME = 'security.capability';
type Sets = { effective: string[]; permitted: string[]; inheritable: string[]; root: number };

function decode(value: Uint8Array): Sets {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const set = (at: number): string[] => CAPABILITIES.filter((_, bit) => (view.getUint32(at + (bit >= 32 ? 8 : 0), true) >>> (bit & 31)) & 1);
  const [permitted, inheritable] = [set(4), set(8)];
  return { permitted, inheritable, effective: view.getUint32(0, true) & 1 ? [...new Set([...permitted, ...inheritable])] : [], root: value.length === 24 ? view.getUint32(20, true) : 0 };
}

function encode({ effective, permitted, inheritable, root }: Sets): Uint8Array {
  const out = new Uint8Array(root === 0 ? 20 : 24);
  const view = new DataView(out.buffer);
  view.setUint32(0, (root === 0 ? 0x02000000 : 0x03000000) | (effective.length > 0 ? 1 : 0), true);
  for (const [at, set] of [[4, permitted], [8, inheritable]] as const) {
    for (const cap of set) {
      const bit = CAPABILITIES.indexOf(cap);
      const word = at + (bit >= 32 ? 8 : 0);
      view.setUint32(word, (view.getUint32(word, true) | (1 << (bit & 31))) >>> 0, true);
    }
  }
  if (root !== 0) view.setUint32(20, root, true);
  return out;
}

const textOf = (sets: Sets): string => capText({ ...sets, bounding: [], ambient: [] });

const GETCAP_USAGE = 'usage: getcap [-h] [-l] [-n] [-r] [-v] <filename> [<filename> ...]\n\n\tdisplays the capabilities on the queried file(s).\n';

export const getcap = command(function* (argv) {
  const { words, on } = parseOptions('r v n h', argv.slice(1));
  if (words.length === 0 || on.has('h')) {
    yield* complain(GETCAP_USAGE);
    return on.has('h') ? 0 : 1;
  }
  for (const path of words) {
    try {
      yield* show(path, { verbose: on.has('v'), roots: on.has('n'), deep: on.has('r') });
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`${path} (${strerror(error)})\n`);
      return 1;
    }
  }
  return 0;
});

function* show(path: string, how: { verbose: boolean; roots: boolean; deep: boolean }): Call<void> {
  const { mode } = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  if (isType(mode, S_IFREG)) {
    const value = yield* attempt(sys('getxattr', path, NAME), null, 'ENODATA', 'EOPNOTSUPP');
    if (!value) {
      if (how.verbose) yield* print(`${path}\n`);
      return;
    }
    const sets = decode(value);
    yield* print(`${path} ${textOf(sets)}${how.roots && sets.root !== 0 ? ` [rootid=${sets.root}]` : ''}\n`);
    return;
  }
  if (how.verbose) yield* print(`${path} (Not a regular file)\n`);
  if (how.deep && isType(mode, S_IFDIR)) for (const { name } of yield* entriesAt(path)) yield* show(`${path === '/' ? '' : path}/${name}`, how);
}

const SETCAP_USAGE = `usage: setcap [--license] [-f] [-h] [-n <rootid>] [-q] [-v] (-r|-|<caps>) <filename> [ ... (-r|-|<capsN>) <filenameN> ]

 Note <filename> must be a regular (non-symlink) file.
 -r          remove capability from file
 -           read capability text from stdin
 <capsN>     cap_from_text(3) formatted file capability
 [ Note: capsh --suggest="something..." might help you pick. ]
 -h          this message and exit status 0
 -f          force setting even when the capability is invalid
 -n <rootid> write a user namespace (!= 0) limited capability
 -q          quietly
 -v          validate supplied capability matches file
`;

export const setcap = command(function* (argv) {
  const words = argv.slice(1);
  let [quiet, verify, root] = [false, false, 0];
  while (words.length > 0 && /^-[qvnhf]$/.test(words[0]!)) {
    const option = words.shift();
    if (option === '-q') quiet = true;
    else if (option === '-v') verify = true;
    else if (option === '-n') root = Number(words.shift() ?? 0);
    else if (option === '-h') {
      yield* print(SETCAP_USAGE);
      return 0;
    }
  }
  if (words.length === 0 || words.length % 2 === 1) {
    yield* complain(SETCAP_USAGE);
    return 1;
  }
  if (!verify && !(yield* sys('capget', 0)).permitted.includes('setfcap')) {
    yield* complain('unable to set CAP_SETFCAP effective capability: Operation not permitted\n');
    return 1;
  }
  let status = 0;
  for (let i = 0; i < words.length; i += 2) {
    const wanted = yield* wantedFrom(words[i]!, root);
    if (wanted === 'bad') return 1;
    status = (verify ? yield* compare(words[i + 1]!, wanted, quiet) : yield* apply(words[i + 1]!, wanted)) || status;
  }
  return status;
});

/** null: none; 'bad' when it was told. */
function* wantedFrom(text: string, root: number): Call<Sets | null | 'bad'> {
  if (text === '-r') return null;
  if (text === '-') throw new Failed('not modelled: capabilities from standard input');
  try {
    const { effective = [], permitted = [], inheritable = [] } = capsOf(text);
    return { effective: [...effective], permitted: [...permitted], inheritable: [...inheritable], root };
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    yield* complain(`fatal error: Invalid argument\n${SETCAP_USAGE}`);
    return 'bad';
  }
}

function* apply(path: string, wanted: Sets | null): Call<number> {
  try {
    const { mode } = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    if (!isType(mode, S_IFREG)) throw new SysError('EINVAL');
    const union = new Set([...(wanted?.permitted ?? []), ...(wanted?.inheritable ?? [])]);
    if (wanted && wanted.effective.length > 0 && (wanted.effective.length !== union.size || wanted.effective.some((cap) => !union.has(cap)))) {
      yield* complain('NOTE: Under Linux, effective file capabilities must either be empty, or\n      exactly match the union of selected permitted and inheritable bits.\n');
      throw new SysError('EINVAL');
    }
    if (wanted) yield* sys('setxattr', path, NAME, encode(wanted), 0);
    else yield* sys('removexattr', path, NAME);
    return 0;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`Failed to set capabilities on file '${path}': ${strerror(error)}\n`);
    if (error.errno === 'EINVAL') yield* complain('The value of the capability argument is not permitted for a file. Or the file is not a regular (non-symlink) file\n');
    return 1;
  }
}

function* compare(path: string, wanted: Sets | null, quiet: boolean): Call<number> {
  const value = yield* attempt(sys('getxattr', path, NAME), null, 'ENODATA');
  const has: Sets = value ? decode(value) : { effective: [], permitted: [], inheritable: [], root: 0 };
  const same = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((cap) => b.includes(cap));
  const differs = [same(has.permitted, wanted?.permitted ?? []) ? '' : 'p', same(has.inheritable, wanted?.inheritable ?? []) ? '' : 'i', same(has.effective, wanted?.effective ?? []) ? '' : 'e'].join('');
  if (!quiet) yield* print(differs === '' ? `${path}: OK\n` : `${path} differs in [${differs}]\n`);
  return differs === '' ? 0 : 1;
}
