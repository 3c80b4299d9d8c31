/** chmod, chown and chgrp, through trees with -R. */
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IFLNK, type Stat, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue } from '../lib/args.ts';
import { isDir, list, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { type Accounts, findGroup, findUser, groupName, readAccounts, userName } from './accounts.ts';
import { umaskNow } from './create.ts';
import { changedMode, isType, modeString } from './modes.ts';
import { joined } from './paths.ts';
import { curly, quoted } from './quote.ts';

type Change = (path: string, stat: Stat) => Call<void>;

/** Applies a change to a file and, with -R, to all below it. A complaint is printed for each that fails. */
function* throughout(who: string, o: Options, path: string, doing: string, change: Change, top = true): Call<boolean> {
  let stat: Stat;
  try {
    stat = yield* sys('newfstatat', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
    const link = isType(stat.mode, S_IFLNK);
    if (link && !top) return true;
    if (link && !o.on.has('no-dereference')) stat = yield* sys('newfstatat', AT_FDCWD, path, 0);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (!o.on.has('silent')) yield* complain(`${who}: cannot access ${quoted(path)}: ${strerror(error)}\n`);
    return false;
  }
  let well = true;
  try {
    yield* change(path, stat);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (!o.on.has('silent')) yield* complain(`${who}: ${doing} ${quoted(path)}: ${strerror(error)}\n`);
    well = false;
  }
  if (o.on.has('recursive') && isDir(stat)) {
    for (const { name } of yield* list(path)) well = (yield* throughout(who, o, joined(path, name), doing, change, false)) && well;
  }
  return well;
}

export const chmod = command(function* (argv) {
  // A mode such as -x or -w looks like an option.
  const args = argv.slice(1).flatMap((a) => (/^-([rwxXst]+|[ugo]|[rwxXst]*[-+=,].*)$/.test(a) && a !== '-R' && !a.startsWith('--') ? ['\x00', a] : [a]));
  const dashed = args.indexOf('\x00');
  const mode0 = dashed >= 0 ? args.splice(dashed, 2)[1]! : null;
  const o = parseOptions('c/changes f/silent quiet R/recursive v/verbose reference= preserve-root no-preserve-root h/no-dereference', args);
  const reference = lastValue(o, 'reference');
  const spec = mode0 ?? (reference === undefined ? o.words.shift() : undefined);
  if (spec === undefined && reference === undefined) throw new BadOption('missing operand');
  if (o.words.length === 0) throw new BadOption(`missing operand after ${curly(spec ?? '')}`);
  const model = reference === undefined ? null : yield* statOf(reference);
  if (reference !== undefined && !model) throw new Failed(`failed to get attributes of ${quoted(reference)}: No such file or directory`);
  const umask = yield* umaskNow();
  if (spec !== undefined && changedMode(spec, 0, umask, false) === null) throw new BadOption(`invalid mode: ${curly(spec)}`);
  const change: Change = function* (path, stat) {
    const mode = model ? model.mode & 0o7777 : changedMode(spec!, stat.mode, umask, isDir(stat))!;
    yield* sys('fchmodat', AT_FDCWD, path, mode);
    const changed = mode !== (stat.mode & 0o7777);
    if (o.on.has('verbose') || (o.on.has('changes') && changed)) yield* print(modeReport(path, stat.mode & 0o7777, mode));
  };
  let status = 0;
  for (const path of o.words) if (!(yield* throughout('chmod', o, path, 'changing permissions of', change))) status = 1;
  return status;
});

function modeReport(path: string, old: number, mode: number): string {
  const shown = (m: number): string => `${m.toString(8).padStart(4, '0')} (${modeString(m).slice(1)})`;
  return old === mode ? `mode of ${quoted(path)} retained as ${shown(mode)}\n` : `mode of ${quoted(path)} changed from ${shown(old)} to ${shown(mode)}\n`;
}

const OWNER_SPEC = 'c/changes f/silent quiet h/no-dereference H L P R/recursive v/verbose reference= from= dereference preserve-root no-preserve-root';

export const chown = command(function* (argv) {
  const o = parseOptions(OWNER_SPEC, argv.slice(1));
  const accounts = yield* readAccounts();
  const ids = yield* ownerOf(o, accounts, 'user');
  return yield* reown('chown', o, accounts, ids, 'ownership');
});

export const chgrp = command(function* (argv) {
  const o = parseOptions(OWNER_SPEC, argv.slice(1));
  const accounts = yield* readAccounts();
  const ids = yield* ownerOf(o, accounts, 'group');
  return yield* reown('chgrp', o, accounts, ids, 'group');
});

interface Ids {
  uid: number;
  gid: number;
}

function* ownerOf(o: Options, accounts: Accounts, what: 'user' | 'group'): Call<Ids> {
  const reference = lastValue(o, 'reference');
  if (reference !== undefined) {
    const stat = yield* statOf(reference);
    if (!stat) throw new Failed(`failed to get attributes of ${quoted(reference)}: No such file or directory`);
    return { uid: what === 'user' ? stat.uid : -1, gid: stat.gid };
  }
  const spec = o.words.shift();
  if (spec === undefined) throw new BadOption('missing operand');
  if (o.words.length === 0) throw new BadOption(`missing operand after ${curly(spec)}`);
  if (what === 'group') return { uid: -1, gid: groupOf(accounts, spec, spec) };
  const cut = /[:.]/.exec(spec)?.index ?? -1;
  if (cut < 0) return { uid: userOf(accounts, spec, spec).uid, gid: -1 };
  const [name, group] = [spec.slice(0, cut), spec.slice(cut + 1)];
  const user = name === '' ? null : userOf(accounts, name, spec);
  return { uid: user?.uid ?? -1, gid: group !== '' ? groupOf(accounts, group, spec) : (user?.gid ?? -1) };
}

function userOf(accounts: Accounts, name: string, spec: string): { uid: number; gid: number } {
  const user = findUser(accounts, name);
  if (!user) throw new Failed(`invalid user: ${curly(spec)}`);
  return user;
}

function groupOf(accounts: Accounts, name: string, spec: string): number {
  const gid = findGroup(accounts, name);
  if (gid === null) throw new Failed(`invalid group: ${curly(spec)}`);
  return gid;
}

function* reown(who: string, o: Options, accounts: Accounts, ids: Ids, noun: string): Call<number> {
  const change: Change = function* (path, stat) {
    yield* sys('fchownat', AT_FDCWD, path, ids.uid, ids.gid, o.on.has('no-dereference') ? AT_SYMLINK_NOFOLLOW : 0);
    const changed = (ids.uid >= 0 && ids.uid !== stat.uid) || (ids.gid >= 0 && ids.gid !== stat.gid);
    if (!o.on.has('verbose') && !(o.on.has('changes') && changed)) return;
    const shown = (uid: number, gid: number): string => (who === 'chgrp' ? groupName(accounts, gid) : `${userName(accounts, uid)}${ids.gid >= 0 ? `:${groupName(accounts, gid)}` : ''}`);
    const [uid, gid] = [ids.uid < 0 ? stat.uid : ids.uid, ids.gid < 0 ? stat.gid : ids.gid];
    yield* print(changed ? `changed ${noun} of ${quoted(path)} from ${shown(stat.uid, stat.gid)} to ${shown(uid, gid)}\n` : `${noun} of ${quoted(path)} retained as ${shown(uid, gid)}\n`);
  };
  let status = 0;
  for (const path of o.words) if (!(yield* throughout(who, o, path, `changing ${noun} of`, change))) status = 1;
  return status;
}
