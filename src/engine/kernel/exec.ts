/**
 * execve: from a path to a program. A binary's bytes name a program (vfs/build.ts); a file that begins with #! names its
 * interpreter; any other file is ENOEXEC. What the caller was is gone: its code, memory, handlers and close-on-exec
 * descriptors; its other threads end. Set-user-ID and set-group-ID bits count. So do capabilities
 * of the file (filecaps.ts). Source: execve(2). Left out: binfmt_misc.
 */
import { record } from '../sim/trace.ts';
import { programOf, SysError } from './abi.ts';
import { cgroupPath } from './cgroup/charge.ts';
import { idInside, nsCapable } from './credentials.ts';
import { errandAtExec } from './errands.ts';
import { endThread } from './exit.ts';
import { capsAfterExec, capsOfProgram, gainedFrom } from './filecaps.ts';
import { logLine } from './log.ts';
import { threadsOf } from './membership.ts';
import { dropAddressSpace, loadImage, newAddressSpace } from './memory.ts';
import { enterTime } from './namespaces.ts';
import type { Kernel, Task } from './records.ts';
import type { Program } from './sys.ts';
import { closeOnExec, copyFiles, makeFile } from './vfs/descriptors.ts';
import { MAY_EXEC, permitted } from './vfs/inode.ts';
import { lookup } from './vfs/path.ts';
import type { Path } from './vfs/types.ts';
import { owe, wake } from './wait.ts';
import { text } from '../sim/text.ts';

const MAX_INTERPRETERS = 4;
const HEAD = 256;
const MS_NOSUID = 2;
const MS_NOEXEC = 8;
const EXEC_NS = 400_000;

interface Image {
  path: Path;
  program: Program;
  argv: readonly string[];
}

/** The first bytes of a file, through its file system's own operations. */
function head(kernel: Kernel, task: Task, path: Path): Uint8Array {
  const { ops, data, inode } = path.dentry.sb.ops.open(kernel, task, path.dentry, 0);
  const file = makeFile(path, inode ?? path.dentry.inode, ops, 0, data);
  const bytes = ops.read?.(kernel, task, file, HEAD, 0);
  return bytes instanceof Uint8Array ? bytes : new Uint8Array(0);
}

function executable(kernel: Kernel, task: Task, at: string): Path {
  const path = lookup(kernel, task, task.fs.cwd, at);
  const { inode } = path.dentry;
  if (inode.kind !== 'file' || !permitted(task, inode, MAY_EXEC) || path.mount.flags & MS_NOEXEC) throw new SysError('EACCES');
  if (inode.writers) throw new SysError('ETXTBSY');
  return path;
}

/** Follows #! lines to a program. Throws ENOENT, EACCES, ENOEXEC, ELOOP. */
function load(kernel: Kernel, task: Task, at: string, argv: readonly string[], depth = 0): Image {
  if (depth > MAX_INTERPRETERS) throw new SysError('ELOOP');
  const path = executable(kernel, task, at);
  const first = head(kernel, task, path);
  const name = programOf(first);
  if (name !== null) {
    const program = kernel.programs.get(name);
    if (program) return { path, program, argv };
    notModelled(kernel, task, at, `no program stands for ${name}`);
  }
  if (first[0] === 0x7f && first[1] === 0x45 && first[2] === 0x4c && first[3] === 0x46) notModelled(kernel, task, at, 'machine code of a real binary');
  if (first[0] !== 0x23 || first[1] !== 0x21) throw new SysError('ENOEXEC');
  const line = text(first).slice(2).split('\n', 1)[0]!.trim();
  const interpreter = line.split(/[ \t]/, 1)[0]!;
  if (interpreter === '') throw new SysError('ENOEXEC');
  const argument = line.slice(interpreter.length).trim();
  return load(kernel, task, interpreter, [interpreter, ...(argument ? [argument] : []), at, ...argv.slice(1)], depth + 1);
}

function notModelled(kernel: Kernel, task: Task, at: string, why: string): never {
  logLine(kernel, 4, `not modelled: ${at}: ${why} (${task.comm}[${task.pid}])`);
  throw new SysError('ENOEXEC');
}

const lastPart = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Replaces the task's program. Throws before anything has changed. */
export function execve(kernel: Kernel, task: Task, at: string, argv: readonly string[], env: Readonly<Record<string, string>>): void {
  const args = argv.length > 0 ? argv : [''];
  const image = load(kernel, task, at, args);
  const ofFile = capsOfProgram(task, image.path);
  if (ofFile) gainedFrom(ofFile, task.cred.caps);
  for (const one of threadsOf(kernel, task)) if (one !== task && one !== task.leader) endThread(kernel, one);
  errandAtExec(kernel, task, at, image.argv);
  task.stack = [image.program(image.argv, env)];
  task.saved = [];
  task.pending = null;
  task.scratch = undefined;
  task.resume = { value: undefined };
  task.comm = lastPart(at).slice(0, 15);
  task.argv = image.argv;
  task.env = env;
  task.exe = image.path;
  task.execed = true;
  enterTime(kernel, task);
  const given = idsOf(task, image.path);
  if (given.euid !== undefined || given.egid !== undefined) task.pdeathsig = 0;
  const before = task.cred;
  task.cred = { ...task.cred, ...given };
  task.cred = { ...task.cred, suid: task.cred.euid, sgid: task.cred.egid, keepCaps: false, caps: capsAfterExec(task, ofFile, before) };
  const actions = [...task.signals.actions].filter(([, action]) => action.handler === 'ignore');
  task.signals = { ...task.signals, actions: new Map(actions) };
  freshMemory(kernel, task);
  ownFiles(task);
  closeOnExec(kernel, task);
  owe(task, EXEC_NS, 'system');
  releaseVfork(kernel, task);
  record(
    kernel.trace, 'kernel', kernel.name, 'task.exec',
    { pid: task.pid, comm: task.comm, args: image.argv.join(' ').slice(0, 200), cgroup: cgroupPath(task.cgroup) }, task.because,
  );
}

/** The ids that the file's set-ID bits give, where its mount and the task's no_new_privs allow them. */
function idsOf(task: Task, path: Path): { euid?: number; egid?: number } {
  const { mode, uid, gid } = path.dentry.inode;
  if (!(mode & 0o6000) || path.mount.flags & MS_NOSUID || task.cred.noNewPrivs) return {};
  if (task.ptrace && !nsCapable(task.ptrace.tracer, task.ns.user, 'sys_ptrace')) return {};
  if (idInside(task.ns.user, uid, 'uidMap') === null || idInside(task.ns.user, gid, 'gidMap') === null) return {};
  return { ...(mode & 0o4000 ? { euid: uid } : {}), ...((mode & 0o2010) === 0o2010 ? { egid: gid } : {}) };
}

/** A table of descriptors that others share is left to them. */
function ownFiles(task: Task): void {
  if (task.files.users === 1) return;
  task.files.users--;
  task.files = copyFiles(task.files);
  task.files.users = 1;
}

function freshMemory(kernel: Kernel, task: Task): void {
  dropAddressSpace(kernel, task.mm);
  task.mm = newAddressSpace();
  loadImage(kernel, task);
}

/** The parent that waits in clone(CLONE_VFORK) goes on. */
export function releaseVfork(kernel: Kernel, task: Task): void {
  if (!task.vforkParent) return;
  task.vforkParent = null;
  wake(kernel, `vfork:${task.pid}`);
}

