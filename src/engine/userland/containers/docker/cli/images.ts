/** Commands on images: list, history, tag, remove, load, save, import, commit. Source: docker/cli command/image. */
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { decimalSize, goTime, humanDuration, isoSeconds, nowNs } from '../../../lib/clock.ts';
import { attempt, drain, isDir, readBytes, statOf } from '../../../lib/files.ts';
import { type Call, writeAll } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { isTerminal } from './attach.ts';
import { type Any, api, ApiError, type Client, filtersOf, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import { parseReference } from '../../oci.ts';
import { progress } from './pull.ts';
import { FORMAT_HELP, printRows, type Row } from './table.ts';
import { ellipsis, shortId } from './values.ts';

const TITLES: Row = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  Containers: 'CONTAINERS',
  SharedSize: 'SHARED SIZE',
  UniqueSize: 'UNIQUE SIZE',
  VirtualSize: 'SIZE',
};

export const images: Command = {
  names: ['images', 'image ls', 'image list'],
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  short: 'List images',
  args: [0, 1],
  options: `
  -a, --all             Show all images (default hides intermediate images)
      --digests         Show digests
  -f, --filter filter   Filter output based on conditions provided
${FORMAT_HELP}
      --no-trunc        Don't truncate output
  -q, --quiet           Only show image IDs
`,
  *run(client, flags) {
    const filter = [...flags.all('filter'), ...flags.args.map((a) => `reference=${a}`)];
    const found: Any[] = yield* api(client, 'GET', '/images/json', {
      query: { all: flags.has('all') ? 1 : undefined, filters: filtersOf(filter) },
    });
    const now = yield* nowNs();
    const whole = flags.has('no-trunc');
    const rows = found.flatMap((i) => imageRows(i, whole, now, flags.has('digests')));
    const format = flags.get('format') ?? '';
    if (flags.has('quiet') && format === '') {
      yield* print(rows.map((r) => `${r.ID}\n`).join(''));
      return 0;
    }
    yield* printRows(format, `Repository Tag${flags.has('digests') ? ' Digest' : ''} ID CreatedSince Size`, TITLES, rows, 'formatter.imageContext');
    return 0;
  },
};

function imageRows(i: Any, whole: boolean, now: number, digests: boolean): Row[] {
  const shared = {
    ID: whole ? i.Id : shortId(i.Id),
    CreatedSince: `${humanDuration(now - i.Created * 1e9)} ago`,
    CreatedAt: goTime(i.Created * 1e9),
    Size: decimalSize(i.Size, 3),
    Containers: 'N/A',
    SharedSize: 'N/A',
    UniqueSize: 'N/A',
    VirtualSize: decimalSize(i.Size, 3),
  };
  const tags: string[] = i.RepoTags ?? [];
  const listed: string[] = i.RepoDigests ?? [];
  const digestOf = (repo: string): string => listed.find((d) => d.startsWith(`${repo}@`))?.split('@')[1] ?? '<none>';
  if (tags.length === 0) {
    const repo = digests && listed[0] ? listed[0].split('@')[0]! : '<none>';
    return [{ ...shared, Repository: repo, Tag: '<none>', Digest: repo === '<none>' ? '<none>' : digestOf(repo) }];
  }
  return tags.map((t) => {
    const cut = t.lastIndexOf(':');
    return { ...shared, Repository: t.slice(0, cut), Tag: t.slice(cut + 1), Digest: digestOf(t.slice(0, cut)) };
  });
}

export const history: Command = {
  names: ['history', 'image history'],
  usage: '[OPTIONS] IMAGE',
  short: 'Show the history of an image',
  args: [1, 1],
  options: `
${FORMAT_HELP}
  -H, --human           Print sizes and dates in human readable format (default true)
      --no-trunc        Don't truncate output
  -q, --quiet           Only show image IDs
`,
  *run(client, flags) {
    const found: Any[] = yield* api(client, 'GET', `/images/${encodeURIComponent(flags.args[0]!)}/history`);
    const whole = flags.has('no-trunc');
    const human = flags.get('human') !== 'false';
    const now = yield* nowNs();
    const rows = found.map((h): Row => {
      const by = String(h.CreatedBy).replaceAll('\t', ' ');
      return {
        ID: whole || h.Id === '<missing>' ? h.Id : shortId(h.Id),
        CreatedAt: isoSeconds(h.Created * 1e9),
        CreatedSince: human ? `${humanDuration(now - h.Created * 1e9)} ago` : isoSeconds(h.Created * 1e9),
        CreatedBy: whole ? by : ellipsis(by, 45),
        Size: human ? decimalSize(h.Size, 3) : String(h.Size),
        Comment: h.Comment,
      };
    });
    if (flags.has('quiet')) yield* print(rows.map((r) => `${r.ID}\n`).join(''));
    else {
      const titles = {
        ID: 'IMAGE',
        CreatedSince: human ? 'CREATED' : 'CREATED AT',
        CreatedAt: 'CREATED AT',
        CreatedBy: 'CREATED BY',
        Size: 'SIZE',
        Comment: 'COMMENT',
      };
      yield* printRows(flags.get('format') ?? '', 'ID CreatedSince CreatedBy Size Comment', titles, rows, 'image.historyContext');
    }
    return 0;
  },
};

export const tag: Command = {
  names: ['tag', 'image tag'],
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  short: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  options: '',
  args: [2, 2],
  *run(client, flags) {
    const [source, target] = flags.args as [string, string];
    const parsed = parseReference(target);
    if ('error' in parsed)
      throw new Stop(`Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: ${parsed.error}`);
    yield* api(client, 'POST', `/images/${encodeURIComponent(source)}/tag`, { query: { repo: parsed.name, tag: parsed.tag } });
    return 0;
  },
};

export const rmi: Command = {
  names: ['rmi', 'image rm', 'image remove'],
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  short: 'Remove one or more images',
  args: [1, -1],
  options: '\n  -f, --force      Force removal of the image\n      --no-prune   Do not delete untagged parents\n',
  *run(client, flags) {
    const errors: string[] = [];
    let fatal = false;
    for (const image of flags.args) {
      try {
        const done: Any[] = yield* api(client, 'DELETE', `/images/${encodeURIComponent(image)}`, {
          query: { force: flags.has('force') ? 1 : undefined, noprune: flags.has('no-prune') ? 1 : undefined },
        });
        yield* print(done.map((d) => (d.Deleted ? `Deleted: ${d.Deleted}\n` : `Untagged: ${d.Untagged}\n`)).join(''));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status !== 404) fatal = true;
        errors.push(`Error response from daemon: ${error.message}`);
      }
    }
    if (errors.length === 0) return 0;
    if (!flags.has('force') || fatal) throw new Stop(errors.join('\n'));
    yield* complain(`${errors.join('\n')}\n`);
    return 0;
  },
};

/** A file's bytes, standard input for "-" or nothing. Throws Stop. */
function* input(path: string | undefined): Call<Uint8Array> {
  if (path === undefined || path === '-') return yield* drain(0);
  const data = yield* attempt(readBytes(path), null);
  if (data === null) throw new Stop(`open ${path}: no such file or directory`);
  return data;
}

export const load: Command = {
  names: ['load', 'image load'],
  usage: '[OPTIONS]',
  short: 'Load an image from a tar archive or STDIN',
  args: [0, 0],
  options: '\n  -i, --input string   Read from tar archive file, instead of STDIN\n  -q, --quiet          Suppress the load output\n',
  *run(client, flags) {
    if (flags.get('input') === undefined && (yield* isTerminal(0))) throw new Stop('requested load from stdin, but stdin is empty');
    const raw = yield* input(flags.get('input'));
    const opened = yield* stream(client, 'POST', '/images/load', { raw, query: { quiet: flags.has('quiet') ? 1 : 0 } });
    try {
      yield* progress(opened, 1);
    } catch (error) {
      throw error instanceof ApiError ? new Stop(error.message) : error;
    }
    return 0;
  },
};

/** What speaks against a file that does not exist yet or is to be written anew. Source: docker/cli command/utils.go ValidateOutputPath. */
function* badOutput(path: string): Call<string | null> {
  const slash = path.replace(/\/+$/, '').lastIndexOf('/');
  const dir = slash < 0 ? '.' : slash === 0 ? '/' : path.slice(0, slash);
  if (!(yield* statOf(dir))) return `invalid output path: directory ${JSON.stringify(dir)} does not exist`;
  const stat = yield* statOf(path);
  return stat && isDir(stat) ? `invalid output path: ${JSON.stringify(path)} must be a regular file` : null;
}

/** Writes a stream's bytes to a file, or to standard output when that is no terminal. */
export function* save(
  client: Client,
  method: string,
  path: string,
  query: Record<string, string | undefined>,
  output: string | undefined,
): Call<number> {
  if (output === undefined && (yield* isTerminal(1)))
    throw new Stop('cowardly refusing to save to a terminal. Use the -o flag or redirect');
  if (output !== undefined) {
    const why = yield* badOutput(output);
    if (why !== null) throw new Stop(`failed to ${path.endsWith('/export') ? 'export container' : 'save image'}: ${why}`);
  }
  const opened = yield* stream(client, method, path, { query });
  const fd = output === undefined ? 1 : yield* sys('openat', AT_FDCWD, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600);
  for (;;) {
    const chunk = yield* opened.readChunk();
    if (chunk === null) break;
    yield* writeAll(fd, chunk);
  }
  return 0;
}

export const saveCommand: Command = {
  names: ['save', 'image save'],
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  short: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  args: [1, -1],
  options: '\n  -o, --output string   Write to a file, instead of STDOUT\n',
  *run(client, flags) {
    return yield* save(client, 'GET', '/images/get', { names: flags.args.join(',') }, flags.get('output'));
  },
};

export const exportCommand: Command = {
  names: ['export', 'container export'],
  usage: '[OPTIONS] CONTAINER',
  short: "Export a container's filesystem as a tar archive",
  args: [1, 1],
  options: '\n  -o, --output string   Write to a file, instead of STDOUT\n',
  *run(client, flags) {
    return yield* save(client, 'GET', `/containers/${encodeURIComponent(flags.args[0]!)}/export`, {}, flags.get('output'));
  },
};

export const importCommand: Command = {
  names: ['import', 'image import'],
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  short: 'Import the contents from a tarball to create a filesystem image',
  args: [1, -1],
  options:
    '\n  -c, --change list       Apply Dockerfile instruction to the created image\n  -m, --message string    Set commit message for imported image\n      --platform string   Set platform if server is multi-platform capable\n',
  *run(client, flags) {
    const [source, target] = flags.args as [string, string | undefined];
    if (/^https?:/.test(source)) throw new Stop('not modelled: docker import from a URL');
    const raw = yield* input(source);
    const parsed = target === undefined ? null : parseReference(target);
    if (parsed && 'error' in parsed) throw new Stop(parsed.error);
    const query = {
      fromSrc: '-',
      repo: parsed?.name,
      tag: parsed?.tag,
      message: flags.get('message') ?? 'Imported from -',
      changes: flags.on.has('change') ? flags.all('change').join('\n') : undefined,
      platform: flags.get('platform'),
    };
    yield* progress(yield* stream(client, 'POST', '/images/create', { raw, query }), 1);
    return 0;
  },
};

export const commit: Command = {
  names: ['commit', 'container commit'],
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  short: "Create a new image from a container's changes",
  args: [1, 2],
  options: `
  -a, --author string    Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
  -c, --change list      Apply Dockerfile instruction to the created image
  -m, --message string   Commit message
  -p, --pause            Pause container during commit (default true)
`,
  *run(client, flags) {
    const [container, target] = flags.args as [string, string | undefined];
    const parsed = target === undefined ? null : parseReference(target);
    if (parsed && 'error' in parsed) throw new Stop(parsed.error);
    const made = yield* api(client, 'POST', '/commit', {
      query: {
        container,
        repo: parsed?.name,
        tag: parsed?.tag,
        comment: flags.get('message'),
        author: flags.get('author'),
        changes: flags.on.has('change') ? flags.all('change').join('\n') : undefined,
        pause: flags.get('pause') === 'false' ? 0 : 1,
      },
    });
    yield* print(`${made.Id}\n`);
    return 0;
  },
};
