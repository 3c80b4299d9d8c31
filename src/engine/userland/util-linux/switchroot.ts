/** switch_root of util-linux 2.41: moves the kernel's mounts into a new root, the new root over /, and becomes its init. Source: switch_root(8). */
import { AT_FDCWD, AT_REMOVEDIR, MNT_DETACH, MNT_FORCE, MS_MOVE, O_RDONLY, type Stat, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { BadOption } from '../lib/args.ts';
import { attempt, entriesAt, fork, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';

const MOVED = ['/dev', '/proc', '/sys', '/run'];

function* moveMount(at: string, newRoot: string, oldRoot: Stat, inside: Stat): Call<void> {
  const own = yield* statOf(at);
  if (own?.dev === oldRoot.dev) return;
  const to = `${newRoot}${at}`;
  if ((yield* statOf(to))?.dev !== inside.dev) {
    yield* attempt(sys('umount2', at, MNT_DETACH), 0);
    return;
  }
  try {
    yield* sys('mount', at, to, '', MS_MOVE, '');
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`switch_root: failed to mount moving ${at} to ${to}: ${strerror(error)}\nswitch_root: forcing unmount of ${at}\n`);
    yield* attempt(sys('umount2', at, MNT_FORCE), 0);
  }
}

function* or(what: string, call: Call<unknown>): Call<void> {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`switch_root: ${what}: ${strerror(error)}\n`);
    throw new Failed('failed. Sorry.');
  }
}

/** What the old root held, on its own file system, is deleted where that is in memory. */
function* emptied(dir: string, dev: number): Call<void> {
  for (const { name, type } of yield* entriesAt(dir)) {
    const path = `${dir}/${name}`;
    if ((yield* attempt(sys('newfstatat', AT_FDCWD, path, 0x100), null))?.dev !== dev) continue;
    if (type === 'dir') yield* emptied(path, dev);
    yield* attempt(sys('unlinkat', AT_FDCWD, path, type === 'dir' ? AT_REMOVEDIR : 0), 0);
  }
}

function* clean(old: number, oldRoot: Stat): Body {
  yield* attempt(sys('fchdir', old), 0);
  const type = (yield* attempt(sys('statfs', '.'), null))?.type;
  if (type === 'tmpfs' || type === 'ramfs') yield* emptied('.', oldRoot.dev);
  else yield* complain('switch_root: old root filesystem is not an initramfs\n');
  return 0;
}

export const switchRoot = command(function* (argv, env) {
  const [, newRoot, ...line] = argv;
  if (newRoot === undefined || line.length === 0) throw new BadOption('not enough arguments');
  const oldRoot = (yield* statOf('/'))!;
  const inside = yield* statOf(newRoot);
  if (!inside) {
    yield* complain(`switch_root: stat of ${newRoot} failed: No such file or directory\n`);
    throw new Failed('failed. Sorry.');
  }
  for (const at of MOVED) yield* moveMount(at, newRoot, oldRoot, inside);
  yield* or(`failed to change directory to ${newRoot}`, sys('chdir', newRoot));
  const old = yield* sys('openat', AT_FDCWD, '/', O_RDONLY);
  yield* or(`failed to mount moving ${newRoot} to /`, sys('mount', newRoot, '/', '', MS_MOVE, ''));
  yield* or('failed to change root', sys('chroot', '.'));
  yield* attempt(sys('chdir', '/'), 0);
  yield* fork(() => clean(old, oldRoot));
  yield* sys('close', old);
  if ((yield* attempt(sys('faccessat', AT_FDCWD, line[0]!, 1), -1)) !== 0) yield* complain(`switch_root: cannot access ${line[0]}: No such file or directory\n`);
  try {
    return yield* sys('execve', line[0]!, line, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`switch_root: failed to execute ${line[0]}: ${strerror(error)}\n`);
    return error.errno === 'ENOENT' ? 127 : 126;
  }
});
