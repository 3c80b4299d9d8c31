/** cp: files to and from containers by tar: the container's own program at one end, kubectl itself at the other. Source: kubectl pkg/cmd/cp 1.32. */
import type { Pod } from '../../../cluster/types/objects.ts';
import { SysError } from '../../../kernel/abi.ts';
import { gather } from '../../containers/docker/cli/copy.ts';
import { unpack } from '../../containers/store.ts';
import { readTar, staysInside, type TarEntry, TarError, writeTar } from '../../containers/tar.ts';
import { isDir, statOf } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, err, Fatal } from './client.ts';
import { type Flags, on } from './flags.ts';
import { containerOf, podOf, runIn } from './pods.ts';

export const CP_FLAGS = 'c/container= no-preserve retries=';

interface Spec { pod: string; namespace: string | null; path: string }

function specOf(word: string): Spec {
  const at = word.indexOf(':');
  if (at < 0) return { pod: '', namespace: null, path: word };
  const [file, path] = [word.slice(0, at), word.slice(at + 1)];
  const parts = file.split('/');
  if (at === 0 || path === '' || parts.length > 2 || parts.some((p) => p === '')) throw new Fatal('error: filespec must match the canonical format: [[namespace/]pod:]file/path');
  return { pod: parts.at(-1)!, namespace: parts.length === 2 ? parts[0]! : null, path };
}

export function* cp(client: Client, flags: Flags): Call<number> {
  if (flags.args.length !== 2) throw new Fatal("error: source and destination are required\nSee 'kubectl cp -h' for help and examples");
  const [from, to] = [specOf(flags.args[0]!), specOf(flags.args[1]!)];
  if (from.pod !== '' && to.pod !== '') throw new Fatal(`error: one of src or dest must be a local file specification`);
  if (from.pod === '' && to.pod === '') throw new Fatal('error: one of src or dest must be a remote file specification');
  const remote = from.pod === '' ? to : from;
  if (remote.namespace !== null) client.namespace = remote.namespace;
  if (from.path === '' || to.path === '') throw new Fatal('error: filepath can not be empty');
  if (from.pod === '' && !(yield* statOf(from.path))) throw new Fatal(`error: ${from.path} doesn't exist in local filesystem`);
  const pod = yield* podOf(client, remote.pod, (_n, failure) => failure);
  if (pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') throw new Fatal(`error: cannot exec into a container in a completed pod; current phase is ${pod.status.phase}`);
  const container = yield* containerOf(pod, flags, false);
  return from.pod === '' ? yield* upload(pod, container, from.path, to.path, on(flags, 'no-preserve')) : yield* download(pod, container, from.path, to.path);
}

const base = (path: string): string => path.replace(/\/+$/, '').split('/').pop() || '.';
const parent = (path: string): string => path.replace(/\/+$/, '').replace(/[^/]*$/, '').replace(/(.)\/$/, '$1') || '.';

function* upload(pod: Pod, container: string, from: string, to: string, plain: boolean): Call<number> {
  const folder = yield* runIn(pod, container, ['test', '-d', to]);
  if (folder.error !== null && folder.exitCode === 0) throw new Fatal(folder.error);
  const target = folder.error === null && folder.exitCode === 0 ? `${to.replace(/\/$/, '')}/${base(from)}` : to;
  const entries: TarEntry[] = [];
  yield* gather(from.replace(/(.)\/+$/, '$1'), base(target), entries);
  const where = parent(target) === '.' && !target.startsWith('/') ? [] : ['-C', parent(target)];
  return yield* finish(yield* runIn(pod, container, ['tar', ...(plain ? ['--no-same-permissions', '--no-same-owner'] : []), '-xmf', '-', ...where], writeTar(entries)));
}

function* finish(done: { exitCode: number; stderr: string; error: string | null }): Call<number> {
  if (done.stderr !== '') yield* err(done.stderr);
  if (done.error !== null) throw new Fatal(done.error);
  if (done.exitCode !== 0) throw new Fatal(`command terminated with exit code ${done.exitCode}`, done.exitCode);
  return 0;
}

function* download(pod: Pod, container: string, from: string, to: string): Call<number> {
  const done = yield* runIn(pod, container, ['tar', 'cf', '-', from]);
  if (done.error !== null || done.exitCode !== 0) return yield* finish(done);
  if (done.stderr !== '') yield* err(done.stderr);
  let entries: TarEntry[];
  try {
    entries = readTar(done.stdout);
  } catch (error) {
    if (error instanceof TarError) throw new Fatal(`error: ${error.message}`);
    throw error;
  }
  const stat = yield* statOf(to);
  const contents = /(^|\/)\.$/.test(from);
  const target = stat && isDir(stat) && !contents ? `${to.replace(/\/$/, '')}/${base(from)}` : to.replace(/(.)\/$/, '$1');
  const prefix = from.replace(/^\/+/, '').replace(/\/?\.?$/, '');
  const placed: TarEntry[] = [];
  for (const e of entries) {
    const clean = e.name.replace(/^\.\/|\/$/g, '');
    const rest = clean === prefix || prefix === '' ? (prefix === '' ? clean : '') : clean.startsWith(`${prefix}/`) ? clean.slice(prefix.length + 1) : null;
    if (rest === null || !staysInside(rest)) {
      yield* err(`warning: file ${JSON.stringify(e.name)} is outside target destination, skipping\n`);
      continue;
    }
    if (e.type === 'link') {
      yield* err(`warning: skipping symlink: ${JSON.stringify(`${target}${rest === '' ? '' : `/${rest}`}`)} -> ${JSON.stringify(e.target)} (consider using "kubectl exec -n ${JSON.stringify(pod.metadata.namespace)} ${JSON.stringify(pod.metadata.name)} -- tar cf - ${JSON.stringify(from)} | tar xf -")\n`);
      continue;
    }
    placed.push({ ...e, name: rest === '' ? base(target) : `${base(target)}/${rest}` });
  }
  try {
    yield* unpack(placed, parent(target));
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(`error: open ${target}: ${error.message.toLowerCase()}`);
    throw error;
  }
  return 0;
}
