/** Images in the daemon: list, inspect, history, tag, remove, prune, and the registry that cannot be reached. Source: moby daemon/images. */
import { AF_INET, SOCK_DGRAM, SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { isoNano, nowNs, parseIso } from '../../../lib/clock.ts';
import { tryRead } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { parseReference } from '../../oci.ts';
import { DOCKER, dropImage, findImage, layerDir, layerSizes, saveRepositories, type StoredImage } from '../../store.ts';
import { type Filters, publish } from './events.ts';
import { checkFilters, labelled } from './inspect.ts';
import { type Any, type Daemon, Refused } from './state.ts';
import { byKey } from '../../../lib/bykey.ts';

export function getImage(daemon: Daemon, name: string): StoredImage {
  const image = findImage(daemon.store, name);
  if (image) return image;
  const parsed = parseReference(name);
  if ('error' in parsed) throw new Refused(400, parsed.error);
  throw new Refused(404, `No such image: ${parsed.digest ? name : `${parsed.name}:${parsed.tag}`}`);
}

export function* sizeOf(daemon: Daemon, image: StoredImage): Call<number> {
  return (yield* layerSizes(daemon.store, image)).reduce((a, b) => a + b, 0);
}

/** The parent of an image that a container was committed from. */
const parentOf = (image: StoredImage): string => (image.config as Any).parent ?? '';

export function usersOfImage(daemon: Daemon, id: string): number {
  return [...daemon.containers.values()].filter((c) => c.Image === id).length;
}

const FILTERS = ['dangling', 'label', 'before', 'since', 'reference', 'until'];

export function* listImages(daemon: Daemon, all: boolean, filters: Filters): Call<Any[]> {
  checkFilters(filters, FILTERS);
  const found: Any[] = [];
  const images = [...daemon.store.images.values()].sort(
    (a, b) => parseIso(b.config.created) - parseIso(a.config.created) || (a.id < b.id ? -1 : 1),
  );
  const created = (name: string): number => parseIso(getImage(daemon, name).config.created);
  const parents = new Set(images.map(parentOf));
  const dangling = filters.dangling?.[0];
  if (dangling !== undefined && !/^(true|false|1|0)$/.test(dangling)) throw new Refused(400, `invalid filter 'dangling=[${dangling}]'`);
  for (const image of images) {
    const at = parseIso(image.config.created);
    const isDangling = image.tags.length === 0;
    if (dangling !== undefined && isDangling !== /^(true|1)$/.test(dangling)) continue;
    if (isDangling && parents.has(image.id) && !all) continue;
    if ((filters.before ?? []).some((n) => at >= created(n)) || (filters.since ?? []).some((n) => at <= created(n))) continue;
    if (!(filters.label ?? []).every((l) => labelled(image.config.config.Labels ?? {}, l))) continue;
    let tags = image.tags;
    if (filters.reference) {
      tags = tags.filter((t) => filters.reference!.some((r) => referenceMatches(t, r)));
      if (tags.length === 0) continue;
    }
    const size = yield* sizeOf(daemon, image);
    found.push({
      Containers: -1,
      Created: Math.floor(at / 1e9),
      Id: image.id,
      Labels: image.config.config.Labels ?? null,
      ParentId: parentOf(image),
      RepoDigests: image.digests,
      RepoTags: tags,
      SharedSize: -1,
      Size: size,
    });
  }
  return found;
}

/** "busybox", "busybox:1.*", "registry/*". */
function referenceMatches(tag: string, pattern: string): boolean {
  const test = (text: string): boolean =>
    new RegExp(
      `^${pattern
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replace(/\*/g, '[^/]*')
        .replace(/\?/g, '[^/]')}$`,
    ).test(text);
  return test(tag) || test(tag.slice(0, tag.lastIndexOf(':')));
}

export function* inspectImage(daemon: Daemon, image: StoredImage): Call<Any> {
  const { config } = image;
  const c = config.config;
  const dirs = image.chain.map((id) => `${layerDir(DOCKER, id)}`).reverse();
  const [top, ...below] = dirs;
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.digests,
    Parent: parentOf(image),
    Comment: config.comment ?? config.history.at(-1)?.comment ?? '',
    Created: config.created,
    DockerVersion: config.docker_version ?? '',
    Author: config.author ?? '',
    Config: {
      Hostname: c.Hostname ?? '',
      Domainname: c.Domainname ?? '',
      User: c.User ?? '',
      AttachStdin: (c as Any).AttachStdin === true,
      AttachStdout: (c as Any).AttachStdout === true,
      AttachStderr: (c as Any).AttachStderr === true,
      ...(c.ExposedPorts ? { ExposedPorts: byKey(c.ExposedPorts) } : {}),
      Tty: (c as Any).Tty === true,
      OpenStdin: (c as Any).OpenStdin === true,
      StdinOnce: (c as Any).StdinOnce === true,
      Env: c.Env ?? null,
      Cmd: c.Cmd ?? null,
      ...((c as Any).Healthcheck ? { Healthcheck: (c as Any).Healthcheck } : {}),
      ...((c as Any).ArgsEscaped ? { ArgsEscaped: true } : {}),
      Image: c.Image ?? '',
      Volumes: c.Volumes ? byKey(c.Volumes) : null,
      WorkingDir: c.WorkingDir ?? '',
      Entrypoint: c.Entrypoint ?? null,
      OnBuild: c.OnBuild ?? null,
      Labels: c.Labels ? byKey(c.Labels) : null,
      ...(c.StopSignal ? { StopSignal: c.StopSignal } : {}),
      ...((c as Any).Shell ? { Shell: (c as Any).Shell } : {}),
    },
    Architecture: config.architecture,
    Os: config.os,
    Size: yield* sizeOf(daemon, image),
    GraphDriver: {
      Data: top
        ? {
            ...(below.length > 0 ? { LowerDir: below.map((d) => `${d}/diff`).join(':') } : {}),
            MergedDir: `${top}/merged`,
            UpperDir: `${top}/diff`,
            WorkDir: `${top}/work`,
          }
        : null,
      Name: 'overlay2',
    },
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.tagged },
  };
}

export function* historyOf(daemon: Daemon, image: StoredImage): Call<Any[]> {
  const sizes = yield* layerSizes(daemon.store, image);
  let layer = 0;
  const rows = image.config.history.map((h) => ({
    Id: '<missing>',
    Created: Math.floor(parseIso(h.created) / 1e9),
    CreatedBy: h.created_by ?? '',
    Tags: null as string[] | null,
    Size: h.empty_layer ? 0 : (sizes[layer++] ?? 0),
    Comment: h.comment ?? '',
  }));
  rows.reverse();
  for (let i = 0, at: StoredImage | undefined = image; i < rows.length && at; i++, at = daemon.store.images.get(parentOf(at))) {
    rows[i]!.Id = at.id;
    rows[i]!.Tags = at.tags.length > 0 ? at.tags : null;
  }
  return rows;
}

export function* tagImage(daemon: Daemon, image: StoredImage, name: string, tag: string): Call<void> {
  const parsed = parseReference(`${name}${tag ? `:${tag}` : ''}`);
  if ('error' in parsed) throw new Refused(400, parsed.error);
  daemon.store.repositories.set(`${parsed.name}:${parsed.tag}`, image.id);
  image.tagged = isoNano(yield* nowNs());
  yield* saveRepositories(daemon.store);
  yield* publish(daemon, 'image', 'tag', image.id, { name: `${parsed.name}:${parsed.tag}` });
}

/** DELETE /images/NAME. Throws Refused 404, 409. */
export function* removeImage(daemon: Daemon, name: string, force: boolean): Call<Any[]> {
  const image = getImage(daemon, name);
  const users = [...daemon.containers.values()].filter((c) => c.Image === image.id);
  const short = image.id.slice(7, 19);
  const byId =
    image.id.startsWith(name.replace(/^(sha256:)?/, 'sha256:')) &&
    /^(sha256:)?[0-9a-f]{4,64}$/.test(name) &&
    !image.tags.some((t) => t === `${name}:latest`);
  const done: Any[] = [];
  const untag = function* (ref: string): Call<void> {
    daemon.store.repositories.delete(ref);
    yield* saveRepositories(daemon.store);
    yield* publish(daemon, 'image', 'untag', image.id, { name: image.id });
    done.push({ Untagged: ref });
  };
  if (!byId) {
    const parsed = parseReference(name);
    const ref = 'error' in parsed ? name : `${parsed.name}:${parsed.tag}`;
    const last = image.tags.length === 1;
    if (last && users.length > 0 && !force) {
      const c = users[0]!;
      throw new Refused(
        409,
        `conflict: unable to remove repository reference "${name}" (must force) - container ${c.ID.slice(0, 12)} is using its referenced image ${short}`,
      );
    }
    yield* untag(ref);
    yield* untagDigests(image, ref, untag);
    if (!last || users.length > 0) return done;
  } else {
    const alive = users.find((c) => c.State.Running);
    if (alive)
      throw new Refused(
        409,
        `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${alive.ID.slice(0, 12)}`,
      );
    if (image.tags.length > 1 && !force)
      throw new Refused(409, `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`);
    if (users.length > 0 && !force)
      throw new Refused(
        409,
        `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${users[0]!.ID.slice(0, 12)}`,
      );
    for (const ref of image.tags.slice()) yield* untag(ref);
    for (const ref of image.digests.slice()) yield* untag(ref);
  }
  if ([...daemon.store.images.values()].some((i) => parentOf(i) === image.id)) {
    if (byId) throw new Refused(409, `conflict: unable to delete ${short} (cannot be forced) - image has dependent child images`);
    return done;
  }
  const gone = yield* dropImage(daemon.store, image);
  yield* publish(daemon, 'image', 'delete', image.id, { name: image.id });
  return [...done, { Deleted: image.id }, ...gone.map((id) => ({ Deleted: id }))];
}

/** The digests of a repository go with its last tag. */
function* untagDigests(image: StoredImage, ref: string, untag: (ref: string) => Call<void>): Call<void> {
  const name = ref.slice(0, ref.lastIndexOf(':'));
  if (image.tags.some((t) => t !== ref && t.slice(0, t.lastIndexOf(':')) === name)) return;
  for (const digest of image.digests.filter((d) => d.startsWith(`${name}@`))) yield* untag(digest);
}

export function* pruneImages(daemon: Daemon, filters: Filters): Call<Any> {
  checkFilters(filters, ['dangling', 'label', 'label!', 'until']);
  const all = /^(false|0)$/.test(filters.dangling?.[0] ?? 'true');
  const deleted: Any[] = [];
  let space = 0;
  for (const image of [...daemon.store.images.values()]) {
    if ((!all && image.tags.length > 0) || usersOfImage(daemon, image.id) > 0) continue;
    const labels = image.config.config.Labels ?? {};
    if (!(filters.label ?? []).every((l) => labelled(labels, l)) || (filters['label!'] ?? []).some((l) => labelled(labels, l))) continue;
    const sizes = yield* layerSizes(daemon.store, image);
    const before = deleted.length;
    try {
      for (const one of image.tags.length > 0 ? image.tags.slice() : [image.id]) deleted.push(...(yield* removeImage(daemon, one, true)));
      const gone = new Set(deleted.slice(before).map((d) => d.Deleted));
      space += image.chain.reduce((n, id, i) => n + (gone.has(id) ? sizes[i]! : 0), 0);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return { ImagesDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: space };
}

/** What reaching a registry ends in: the machine's resolver is asked, and the kernel says how that goes. */
export function* unreachable(url: string): Call<string> {
  const host = /^https:\/\/([^/]+)/.exec(url)![1]!;
  const server = /^nameserver (\S+)/m.exec((yield* tryRead('/etc/resolv.conf')) ?? '')?.[1] ?? '127.0.0.1';
  const lookup = `Get "${url}": dial tcp: lookup ${host} on ${server}:53: `;
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  try {
    yield* sys('connect', fd, { family: 'inet', address: server, port: 53 });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return `${lookup}dial udp ${server}:53: connect: ${error.message.toLowerCase()}`;
  } finally {
    yield* sys('close', fd);
  }
  return `${lookup}${server === '127.0.0.1' ? `read udp 127.0.0.1:53: read: connection refused` : 'no such host'}`;
}
