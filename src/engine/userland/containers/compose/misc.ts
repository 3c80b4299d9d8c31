/** docker compose config, build, pull, push, ls, version. Source: docker/compose cmd/compose/{config,build,pull,list,version}.go of 2.26. */
import { writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { tabulate } from '../../kube/kubectl/tabwriter.ts';
import { byKey } from '../../lib/bykey.ts';
import { api, ApiError } from '../docker/cli/client.ts';
import type { Flags } from '../docker/cli/flags.ts';
import { hashOf, imageOf, LABEL, VERSION } from './body.ts';
import { buildServices } from './build.ts';
import { writtenService } from './canonical.ts';
import { type ComposeCommand, type Context, projectOf } from './command.ts';
import { pullService } from './converge.ts';
import { type Any, ComposeError, type Dict, isDict } from './document.ts';
import { jsonModel, modelOf, toYaml } from './emit.ts';
import { variablesOf } from './interpolate.ts';
import { event, together } from './progress.ts';
import { type Asked, loadModel, nameOf, type Project } from './project.ts';
import { labels, warn, working } from './session.ts';

export const config: ComposeCommand = {
  name: 'config', usage: '[OPTIONS] [SERVICE...]', short: 'Parse, resolve and render compose file in canonical format', args: [0, -1], aliases: 'docker compose config, docker compose convert',
  options: `
      --dry-run                 Execute command in dry run mode
      --format string           Format the output. Values: [yaml | json] (default "yaml")
      --hash string             Print the service config hash, one per line.
      --images                  Print the image names, one per line.
      --no-consistency          Don't check model consistency - warning: may produce invalid Compose output
      --no-interpolate          Don't interpolate environment variables
      --no-normalize            Don't normalize compose model
      --no-path-resolution      Don't resolve file paths
  -o, --output string           Save to file (default to stdout)
      --profiles                Print the profile names, one per line.
  -q, --quiet                   Only validate the configuration, don't print anything
      --resolve-image-digests   Pin image tags to digests
      --services                Print the service names, one per line.
      --variables               Print model variables and default values.
      --volumes                 Print the volume names, one per line.
`,
  *run(c, flags) {
    if (flags.has('no-path-resolution')) throw new ComposeError('not modelled: --no-path-resolution');
    const asked = { ...c.asked, interpolate: !flags.has('no-interpolate') && !flags.has('variables'), normalize: !flags.has('no-normalize'), unresolved: flags.get('hash') !== undefined };
    if (flags.has('variables') || flags.has('no-interpolate')) return yield* written(c, flags, asked);
    const p = yield* projectOf({ ...c, asked }, flags.args);
    const each = (all: readonly string[]): Call<void> => print(all.map((l) => `${l}\n`).join(''));
    const hashes = flags.get('hash');
    if (flags.has('quiet')) return 0;
    if (flags.has('services')) yield* each(Object.keys(p.services));
    else if (flags.has('volumes')) yield* each(Object.keys(p.volumes));
    else if (flags.has('images')) yield* each(Object.keys(p.services).map((n) => imageOf(p, n)));
    else if (flags.has('profiles')) yield* each([...new Set([...Object.values(p.services), ...Object.values(p.disabled)].flatMap((s) => (s.profiles ?? []) as string[]))].sort());
    else if (hashes !== undefined) {
      const names = hashes === '*' ? Object.keys(p.services) : hashes.split(',');
      for (const n of names) if (!p.services[n]) throw new ComposeError(`no such service: ${n}: not found`);
      yield* each(names.map((n) => `${n} ${hashOf(p.services[n]!)}`));
    } else {
      const format = flags.get('format') ?? 'yaml';
      if (format !== 'yaml' && format !== 'json') throw new ComposeError(`unsupported format ${JSON.stringify(format)}`);
      if (flags.has('resolve-image-digests')) yield* pinned(c, p);
      const model = dollars(modelOf(p), true);
      const out = format === 'json' ? JSON.stringify(jsonModel(model), null, 2) : toYaml(model);
      if (flags.get('output')) yield* writeFile(flags.get('output')!, out);
      else yield* print(out);
    }
    return 0;
  },
};

/** Images whose digests the daemon can ask their registry for are named by them. */
function* pinned(c: Context, p: Project): Call<void> {
  for (const s of Object.values(p.services)) {
    if (!s.image) continue;
    try {
      const digest = (yield* api(c.client, 'GET', `/distribution/${encodeURIComponent(s.image)}/json`)).Descriptor?.digest;
      if (digest) s.image = `${s.image}@${digest}`;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
}

/** The model before anything is filled in, or the variables that stand in it. */
function* written(c: Context, flags: Flags, asked: Asked): Call<number> {
  const { model, found } = yield* loadModel(asked);
  for (const w of found.warnings) yield* warn(c.session, w);
  if (flags.has('variables')) {
    const rows = [...variablesOf(model)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, v]) => `${name}\t${v.required}\t${v.fallback}\t${v.alternate}`);
    yield* print(`${tabulate(['NAME\tREQUIRED\tDEFAULT VALUE\tALTERNATE VALUE', ...rows].join('\n'), 20, 1)}\n`);
    return 0;
  }
  const name = nameOf(model, found);
  const services = Object.fromEntries(Object.entries(model.services as Dict).map(([k, s]) => [k, writtenService(s ?? {}, found.place)]));
  const resources = (kind: string, more: Dict = {}): Dict => Object.fromEntries(Object.entries({ ...more, ...((model[kind] ?? {}) as Dict) }).map(([k, r]) => [k, { name: r?.external ? k : `${name}_${k}`, ...(r ?? {}) }]));
  const used = Object.values(services).some((s) => !s.networks && !s.network_mode);
  for (const s of Object.values(services)) if (!s.networks && !s.network_mode) s.networks = { default: null };
  const networks = resources('networks', used ? { default: null } : {});
  const whole = sortedDeep({ ...model, name, services, ...(Object.keys(networks).length > 0 ? { networks } : {}), ...(model.volumes ? { volumes: resources('volumes') } : {}), ...(model.secrets ? { secrets: resources('secrets') } : {}), ...(model.configs ? { configs: resources('configs') } : {}) });
  const { name: _n, ...rest } = whole;
  const out = flags.get('format') === 'json' ? JSON.stringify(whole, null, 2) : toYaml({ name, ...rest });
  if (flags.get('output')) yield* writeFile(flags.get('output')!, out);
  else yield* print(out);
  return 0;
}

const sortedDeep = (value: Any): Any => (Array.isArray(value) ? value.map(sortedDeep) : isDict(value) ? byKey(Object.fromEntries(Object.entries(value).map(([k, v]) => [k, sortedDeep(v)]))) : value);

/** A dollar that is meant is two again, so that what is printed reads as it was. */
function dollars(value: Any, twice: boolean): Any {
  if (!twice) return value;
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map((v) => dollars(v, true));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value as Dict).map(([k, v]) => [k, dollars(v, true)]));
}

export const build: ComposeCommand = {
  name: 'build', usage: '[OPTIONS] [SERVICE...]', short: 'Build or rebuild services', args: [0, -1],
  options: `
      --build-arg stringArray   Set build-time variables for services
      --builder string          Set builder to use
      --dry-run                 Execute command in dry run mode
  -m, --memory bytes            Set memory limit for the build container. Not supported by BuildKit.
      --no-cache                Do not use cache when building the image
      --pull                    Always attempt to pull a newer version of the image
      --push                    Push service images
  -q, --quiet                   Don't print anything to STDOUT
      --ssh string              Set SSH authentications used when building service images. (use 'default' for using your default SSH Agent)
      --with-dependencies       Also build dependencies (transitively)
`,
  *run(c, flags) {
    if (flags.has('push')) throw new ComposeError('not modelled: docker compose build --push');
    const p = yield* projectOf(c, flags.args, flags.has('with-dependencies'));
    const args = Object.fromEntries(flags.all('build-arg').map((a) => {
      const cut = a.indexOf('=');
      return cut < 0 ? [a, p.environment[a] ?? null] : [a.slice(0, cut), a.slice(cut + 1)];
    }));
    const names = Object.keys(p.services).filter((n) => p.services[n]!.build);
    if (names.length === 0) yield* warn(c.session, 'No services to build');
    yield* buildServices(c.session, p, names, { noCache: flags.has('no-cache'), args, quiet: flags.has('quiet') });
    return 0;
  },
};

export const pull: ComposeCommand = {
  name: 'pull', usage: '[OPTIONS] [SERVICE...]', short: 'Pull service images', args: [0, -1],
  options: `
      --dry-run                Execute command in dry run mode
      --ignore-buildable       Ignore images that can be built
      --ignore-pull-failures   Pull what it can and ignores images with pull failures
      --include-deps           Also pull services declared as dependencies
      --policy string          Apply pull policy ("missing"|"always")
  -q, --quiet                  Pull without printing progress information
`,
  *run(c, flags) {
    const s = flags.has('quiet') ? { ...c.session, mode: 'quiet' as const } : c.session;
    const p = yield* projectOf(c, flags.args, flags.has('include-deps'));
    const all = Object.keys(p.services).filter((n) => !(flags.has('ignore-buildable') && p.services[n]!.build));
    yield* working(s, 'Pulling', function* (w): Call<void> {
      for (const n of all) if (!p.services[n]!.image) yield* event(w, n, 'done', 'No image to be pulled', 'Skipped -');
      const names = all.filter((n) => p.services[n]!.image);
      if (names.length > 0) yield* together(names.map((n) => pullService(s, w, p, n, flags.has('ignore-pull-failures'))));
    });
    return 0;
  },
};

export const ls: ComposeCommand = {
  name: 'ls', usage: '[OPTIONS]', short: 'List running compose projects', args: [0, 0],
  options: `
  -a, --all             Show all stopped Compose projects
      --dry-run         Execute command in dry run mode
      --filter filter   Filter output based on conditions provided
      --format string   Format the output. Values: [table | json] (default "table")
  -q, --quiet           Only display IDs
`,
  *run(c, flags) {
    const found: Any[] = yield* api(c.client, 'GET', '/containers/json', { query: { all: flags.has('all') ? 1 : undefined, filters: labels(LABEL.project, LABEL.hash) } });
    const projects = new Map<string, Any[]>();
    for (const row of found) if (row.Labels[LABEL.oneoff] !== 'True') projects.set(row.Labels[LABEL.project], [...(projects.get(row.Labels[LABEL.project]) ?? []), row]);
    const wanted = flags.all('filter').map((f) => f.split('=')).filter(([k]) => k === 'name').map(([, v]) => v ?? '');
    const rows = [...projects].filter(([name]) => wanted.length === 0 || wanted.some((w) => name.includes(w))).sort(([a], [b]) => (a < b ? -1 : 1)).map(([Name, all]) => ({ Name, Status: stateText(all.map((r) => r.State)), ConfigFiles: [...new Set(all.map((r) => String(r.Labels[LABEL.files] ?? '')))].join(',') || 'N/A' }));
    if (flags.has('quiet')) yield* print(rows.map((r) => `${r.Name}\n`).join(''));
    else if (!['', 'json', 'table', 'pretty'].includes(flags.get('format') ?? '')) throw new ComposeError(`format value ${JSON.stringify(flags.get('format'))} could not be parsed: parsing failed`);
    else if (flags.get('format') === 'json') yield* print(`${JSON.stringify(rows)}\n`);
    else yield* print(`${tabulate(['NAME\tSTATUS\tCONFIG FILES', ...rows.map((r) => `${r.Name}\t${r.Status}\t${r.ConfigFiles}`)].join('\n'), 20, 1)}\n`);
    return 0;
  },
};

function stateText(states: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const s of states) counts.set(s, (counts.get(s) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([s, n]) => `${s}(${n})`).join(', ');
}

export const version: ComposeCommand = {
  name: 'version', usage: '[OPTIONS]', short: 'Show the Docker Compose version information', args: [0, 0], options: '\n      --dry-run         Execute command in dry run mode\n  -f, --format string   Format the output. Values: [pretty | json]. (Default: pretty)\n      --short           Shows only Compose\'s version number\n',
  *run(_c, flags) {
    const full = `${VERSION}-4`;
    yield* print(flags.has('short') ? `${full}\n` : flags.get('format') === 'json' ? `{"version":${JSON.stringify(full)}}\n` : `Docker Compose version ${full}\n`);
    return 0;
  },
};

