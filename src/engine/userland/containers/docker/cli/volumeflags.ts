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
    checkSections(one);
    if (one.includes(':')) out.binds.push(fromHere(one, directory));
    else out.volumes[one] = {};
  }
  for (const one of tmpfs) {
    const cut = one.indexOf(':');
    out.tmpfs[cut < 0 ? one : one.slice(0, cut)] = cut < 0 ? '' : one.slice(cut + 1);
  }
  return out;
}

/** Throws Stop for colons with nothing between them, or too many. */
function checkSections(spec: string): void {
  if (spec === '') throw new Stop('invalid empty volume spec');
  const parts = spec.split(':');
  if (spec.length > 2 && parts.includes('')) throw new Stop(`invalid spec: ${spec}: empty section between colons`);
  if (parts.length > 3) throw new Stop(`invalid spec: ${spec}: too many colons`);
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

const KEYS: Readonly<Record<string, string>> = {
  type: 'Type',
  source: 'Source',
  src: 'Source',
  target: 'Target',
  dst: 'Target',
  destination: 'Target',
};

function mountOf(text: string): Any {
  const bad = (why: string): Stop => new Stop(`invalid argument ${JSON.stringify(text)} for "--mount" flag: ${why}`, 125);
  const mount: Any = { Type: 'volume' };
  for (const field of text.split(',')) {
    const cut = field.indexOf('=');
    const key = (cut < 0 ? field : field.slice(0, cut)).toLowerCase();
    const value = field.slice(cut + 1);
    if (cut < 0 && (key === 'readonly' || key === 'ro')) mount.ReadOnly = true;
    else if (cut < 0 && key === 'volume-nocopy') mount.VolumeOptions = { ...mount.VolumeOptions, NoCopy: true };
    else if (cut < 0) throw bad(`invalid field '${field}' must be a key=value pair`);
    else if (KEYS[key]) mount[KEYS[key]] = key === 'type' ? value.toLowerCase() : value;
    else if (key === 'readonly' || key === 'ro') mount.ReadOnly = /^(1|t|true)$/i.test(value);
    else if (key === 'bind-propagation') mount.BindOptions = { ...mount.BindOptions, Propagation: value };
    else if (key === 'volume-nocopy') mount.VolumeOptions = { ...mount.VolumeOptions, NoCopy: /^(1|t|true)$/i.test(value) };
    else if (key === 'volume-label' || key === 'volume-driver' || key === 'volume-opt' || key === 'consistency') continue;
    else if (key === 'tmpfs-size') mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: sizeBytes(value) ?? 0 };
    else if (key === 'tmpfs-mode') mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
    else throw bad(`unexpected key '${key}' in '${field}'`);
  }
  if (!mount.Type) throw bad('type is required');
  if (!mount.Target) throw bad('target is required');
  return mount;
}
