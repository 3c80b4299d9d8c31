/** -v, --mount and --tmpfs as binds, anonymous volumes, mounts. Source: docker/cli opts/mount.go, container/opts.go. */
import { type Any, Stop } from './client.ts';
import { sizeBytes } from './values.ts';

export interface Volumes {
  binds: string[];
  volumes: Record<string, object>;
  mounts: Any[];
  tmpfs: Record<string, string>;
}

/** Throws Stop. */
export function volumesOf(volume: readonly string[], mount: readonly string[], tmpfs: readonly string[], directory: string): Volumes {
  const out: Volumes = { binds: [], volumes: {}, mounts: mount.map(mountOf), tmpfs: {} };
  for (const one of volume) {
    if (sections(one).source !== '' || one === ':') out.binds.push(fromHere(one, directory));
    else out.volumes[one] = {};
  }
  for (const one of tmpfs) {
    const cut = one.indexOf(':');
    out.tmpfs[cut < 0 ? one : one.slice(0, cut)] = cut < 0 ? '' : one.slice(cut + 1);
  }
  return out;
}

/** A letter and a colon are a drive of Windows. */
const isDrive = (sofar: string, c: string): boolean => c === ':' && /^\p{L}$/u.test(sofar);

/** The parts between colons, a source only where there are two. Throws Stop. Source: docker/cli compose/loader/volume.go. */
function sections(spec: string): { source: string; target: string } {
  if (spec === '') throw new Stop('invalid empty volume spec');
  if (spec.length <= 2) return { source: '', target: spec };
  const parts: string[] = [];
  let part = '';
  for (const c of `${spec}\0`) {
    if (isDrive(part, c) || (c !== ':' && c !== '\0')) {
      part += c;
      continue;
    }
    if (part === '') throw new Stop(`invalid spec: ${spec}: empty section between colons`);
    if (parts.length === 2 && c === ':') throw new Stop(`invalid spec: ${spec}: too many colons`);
    parts.push(part);
    part = '';
  }
  return parts.length === 1 ? { source: '', target: spec } : { source: parts[0]!, target: parts[1]! };
}

/** A source of "." or "./x" is where the command stands; any other that is no absolute path names a volume. */
function fromHere(bind: string, directory: string): string {
  const cut = bind.indexOf(':');
  const source = bind.slice(0, cut);
  if (source !== '.' && !source.startsWith('./')) return bind;
  const parts: string[] = [];
  for (const part of `${directory}/${source}`.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}${bind.slice(cut)}`;
}

const BOOL = /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/;

type Set = (mount: Any, value: string, bad: (why: string) => Stop) => void;

/** A switch, set in a part of the mount. */
const flag = (part: string | null, name: string, key: string): Set => (mount, value, bad) => {
  if (!BOOL.test(value)) throw bad(`invalid value for ${key}: ${value}`);
  const on = /^[1tT]/.test(value);
  if (part === null) mount[name] = on;
  else mount[part] = { ...mount[part], [name]: on };
};
const into = (part: string, name: string): Set => (mount, value) => {
  mount[part] = { ...mount[part], [name]: value };
};
/** "k=v" into a map; nothing without a name. */
const entry = (at: (mount: Any) => Any): Set => (mount, value) => {
  const map = at(mount);
  const [name, ...rest] = value.split('=');
  if (name) map[name] = rest.join('=');
};
const options = (mount: Any): Any => (mount.VolumeOptions ??= {});
const driver = (mount: Any): Any => (options(mount).DriverConfig ??= {});

const RECURSIVE: Readonly<Record<string, Any>> = { enabled: {}, disabled: { NonRecursive: true }, writable: { ReadOnlyNonRecursive: true }, readonly: { ReadOnlyForceRecursive: true } };

const source: Set = (mount, value) => {
  mount.Source = value;
};
const target: Set = (mount, value) => {
  mount.Target = value;
};
const SET: Readonly<Record<string, Set>> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase();
  },
  source, src: source, target, dst: target, destination: target,
  readonly: flag(null, 'ReadOnly', 'readonly'), ro: flag(null, 'ReadOnly', 'ro'),
  consistency: (mount, value) => {
    mount.Consistency = value.toLowerCase();
  },
  'bind-propagation': (mount, value) => into('BindOptions', 'Propagation')(mount, value.toLowerCase(), () => new Stop('')),
  'bind-nonrecursive': flag('BindOptions', 'NonRecursive', 'bind-nonrecursive'),
  'bind-recursive': (mount, value, bad) => {
    if (!RECURSIVE[value]) throw bad(`invalid value for bind-recursive: ${value} (must be "enabled", "disabled", "writable", or "readonly")`);
    if (value !== 'enabled') mount.BindOptions = { ...mount.BindOptions, ...RECURSIVE[value] };
  },
  'volume-subpath': into('VolumeOptions', 'Subpath'),
  'volume-nocopy': flag('VolumeOptions', 'NoCopy', 'volume-nocopy'),
  'volume-label': entry((mount) => (options(mount).Labels ??= {})),
  'volume-driver': (mount, value) => {
    driver(mount).Name = value;
  },
  'volume-opt': entry((mount) => (driver(mount).Options ??= {})),
  'tmpfs-size': (mount, value, bad) => {
    const size = sizeBytes(value);
    if (size === null) throw bad(`invalid value for tmpfs-size: ${value}`);
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: size };
  },
  'tmpfs-mode': (mount, value, bad) => {
    if (!/^[0-7]+$/.test(value)) throw bad(`invalid value for tmpfs-mode: ${value}`);
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
  },
};

/** Fields of a line of comma-separated values; one in quotes may hold commas. */
const csvFields = (line: string): string[] => [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((m) => m[1]?.replaceAll('""', '"') ?? m[2]!);

/** Of which type options are. */
const OWN = [['VolumeOptions', 'volume'], ['BindOptions', 'bind'], ['TmpfsOptions', 'tmpfs']] as const;

function mountOf(text: string): Any {
  const bad = (why: string): Stop => new Stop(`invalid argument ${JSON.stringify(text)} for "--mount" flag: ${why}`, 125);
  if (text === '') throw bad('EOF');
  const mount: Any = { Type: 'volume' };
  for (const field of csvFields(text)) {
    const cut = field.indexOf('=');
    const key = (cut < 0 ? field : field.slice(0, cut)).toLowerCase();
    if (cut < 0 && !/^(?:readonly|ro|volume-nocopy|bind-nonrecursive)$/.test(key)) throw bad(`invalid field '${field}' must be a key=value pair`);
    const set = Object.hasOwn(SET, key) ? SET[key] : undefined;
    if (!set) throw bad(`unexpected key '${key}' in '${field}'`);
    set(mount, cut < 0 ? 'true' : field.slice(cut + 1), bad);
  }
  if (!mount.Type) throw bad('type is required');
  for (const [part, type] of OWN) if (mount[part] && mount.Type !== type) throw bad(`cannot mix '${type}-*' options with mount type '${mount.Type}'`);
  if (mount.BindOptions?.ReadOnlyNonRecursive && !mount.ReadOnly) throw bad("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  if (mount.BindOptions?.ReadOnlyForceRecursive && !mount.ReadOnly) throw bad("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
  if (mount.BindOptions?.ReadOnlyForceRecursive && mount.BindOptions.Propagation !== 'rprivate') throw bad("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction");
  if (!mount.Target) throw bad('target is required');
  return mount;
}
