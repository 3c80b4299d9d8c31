/**
 * What Go's encoding/json says of a config.json whose values have other types than runtime-spec's structures: the first such value,
 * with the innermost structure's name and the path to the field. Source: encoding/json (UnmarshalTypeError), runtime-spec's specs-go.
 */

/** A Go type: a basic one, a slice, a structure by name, "any" for what is taken as it is. */
type Shape = 'string' | 'bool' | 'int' | 'int64' | 'uint16' | 'uint32' | 'uint64' | 'any' | { slice: Shape } | { struct: string; fields: Readonly<Record<string, Shape>> };

const strings: Shape = { slice: 'string' };
const struct = (name: string, fields: Readonly<Record<string, Shape>>): Shape => ({ struct: name, fields });

const HOOKS: Shape = { slice: struct('Hook', { path: 'string', args: strings, env: strings, timeout: 'int' }) };
const MAPPINGS: Shape = { slice: struct('LinuxIDMapping', { containerID: 'uint32', hostID: 'uint32', size: 'uint32' }) };

const SPEC: Shape = struct('Spec', {
  ociVersion: 'string', hostname: 'string', domainname: 'string',
  process: struct('Process', {
    terminal: 'bool', args: strings, env: strings, cwd: 'string', noNewPrivileges: 'bool', apparmorProfile: 'string', oomScoreAdj: 'int', selinuxLabel: 'string',
    user: struct('User', { uid: 'uint32', gid: 'uint32', umask: 'uint32', additionalGids: { slice: 'uint32' }, username: 'string' }), rlimits: { slice: struct('POSIXRlimit', { type: 'string', hard: 'uint64', soft: 'uint64' }) },
    capabilities: struct('LinuxCapabilities', { bounding: strings, effective: strings, inheritable: strings, permitted: strings, ambient: strings }),
  }),
  root: struct('Root', { path: 'string', readonly: 'bool' }),
  mounts: { slice: struct('Mount', { destination: 'string', type: 'string', source: 'string', options: strings }) },
  hooks: struct('Hooks', { prestart: HOOKS, createRuntime: HOOKS, createContainer: HOOKS, startContainer: HOOKS, poststart: HOOKS, poststop: HOOKS }),
  linux: struct('Linux', {
    uidMappings: MAPPINGS, gidMappings: MAPPINGS, cgroupsPath: 'string', rootfsPropagation: 'string', maskedPaths: strings, readonlyPaths: strings, mountLabel: 'string',
    namespaces: { slice: struct('LinuxNamespace', { type: 'string', path: 'string' }) },
    resources: struct('LinuxResources', {
      memory: struct('LinuxMemory', { limit: 'int64', reservation: 'int64', swap: 'int64', swappiness: 'uint64', disableOOMKiller: 'bool' }),
      cpu: struct('LinuxCPU', { shares: 'uint64', quota: 'int64', period: 'uint64', cpus: 'string', mems: 'string' }), pids: struct('LinuxPids', { limit: 'int64' }),
    }),
  }),
});

const RANGES: Readonly<Record<string, readonly [number, number]>> = { int: [-(2 ** 63), 2 ** 63], int64: [-(2 ** 63), 2 ** 63], uint16: [0, 2 ** 16 - 1], uint32: [0, 2 ** 32 - 1], uint64: [0, 2 ** 64] };

function typeName(shape: Shape): string {
  if (typeof shape === 'string') return shape;
  return 'slice' in shape ? `[]${typeName(shape.slice)}` : `specs.${shape.struct}`;
}

const kindOf = (value: unknown): string => (Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value);

/** What does not fit, or null. `at` names the structure that the value is a field of, and the field. */
function misfit(shape: Shape, value: unknown, at: { struct: string; path: string }): string | null {
  if (shape === 'any' || value === null || value === undefined) return null;
  const wrong = (what: string): string => `json: cannot unmarshal ${what} into Go ${at.path === '' ? 'value' : `struct field ${at.struct}.${at.path}`} of type ${typeName(shape)}`;
  const kind = kindOf(value);
  if (typeof shape === 'string') {
    const range = RANGES[shape];
    if (!range) return kind === shape ? null : wrong(kind);
    if (typeof value !== 'number') return wrong(kind);
    return Number.isInteger(value) && value >= range[0] && value <= range[1] ? null : wrong(`number ${value}`);
  }
  if ('slice' in shape) {
    if (!Array.isArray(value)) return wrong(kind);
    for (const one of value) {
      const found = misfit(shape.slice, one, at);
      if (found) return found;
    }
    return null;
  }
  if (kind !== 'object') return wrong(kind);
  for (const [name, one] of Object.entries(value)) {
    const field = shape.fields[name];
    const found = field ? misfit(field, one, { struct: shape.struct, path: at.path === '' ? name : `${at.path}.${name}` }) : null;
    if (found) return found;
  }
  return null;
}

export const specMisfit = (value: unknown): string | null => misfit(SPEC, value, { struct: '', path: '' });
