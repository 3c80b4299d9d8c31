/**
 * Which socket crictl speaks to: flags, the environment, its configuration file, or the default ones with a warning; and
 * whether a runtime answers there. Source: kubernetes-sigs/cri-tools 1.32 cmd/crictl/main.go, pkg/common/file.go.
 */
import { parse } from 'yaml';
import { SysError } from '../../../kernel/abi.ts';
import { type Options, lastValue as valueIn } from '../../lib/args.ts';
import { tryRead, writeFile } from '../../lib/files.ts';
import { type Call, request } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { CrictlError, warning } from './output.ts';

export const CONFIG = '/etc/crictl.yaml';
const DEFAULTS = ['unix:///run/containerd/containerd.sock', 'unix:///run/crio/crio.sock', 'unix:///var/run/cri-dockerd.sock'];
const KEYS = ['runtime-endpoint', 'image-endpoint', 'timeout', 'debug', 'pull-image-on-create', 'disable-pull-on-run'];

export type Kind = 'runtime' | 'image';

function* configuration(path: string, asked: boolean): Call<Record<string, unknown>> {
  const source = yield* tryRead(path);
  if (source === null) {
    if (asked) throw new CrictlError(`load config file: stat ${path}: no such file or directory`);
    yield* warning(`Config ${JSON.stringify(path)} does not exist, trying next: "/usr/bin/crictl.yaml"`);
    return {};
  }
  try {
    const value = parse(source) as unknown;
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    throw new CrictlError(`load config file: yaml: unmarshal errors:\n  line 1: cannot unmarshal into common.Config`);
  }
}

/** Warns where nothing was said, and asks the runtime whether it is one. Throws CrictlError. */
export function* connect(o: Options, env: Readonly<Record<string, string>>, kinds: readonly Kind[]): Call<void> {
  const path = valueIn(o, 'config') ?? env.CRI_CONFIG_FILE;
  const config = yield* configuration(path ?? CONFIG, path !== undefined);
  const runtime = valueIn(o, 'runtime-endpoint') ?? env.CONTAINER_RUNTIME_ENDPOINT ?? text(config['runtime-endpoint']);
  const image = valueIn(o, 'image-endpoint') ?? env.IMAGE_SERVICE_ENDPOINT ?? text(config['image-endpoint']) ?? runtime;
  for (const kind of kinds) {
    const endpoint = kind === 'runtime' ? runtime : image;
    if (endpoint === undefined) yield* warning(`${kind} connect using default endpoints: [${DEFAULTS.join(' ')}]. As the default settings are now deprecated, you should set the endpoint instead.`);
    yield* validate(kind, endpoint ?? DEFAULTS[0]!);
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

function* validate(kind: Kind, endpoint: string): Call<void> {
  const bad = (why: string): CrictlError => new CrictlError(`validate service connection: validate CRI v1 ${kind} API for endpoint ${JSON.stringify(endpoint)}: ${why}`);
  const path = /^(?:unix:\/\/)?(\/.*)$/.exec(endpoint)?.[1];
  if (path === undefined) throw bad(/^\w+:\/\//.test(endpoint) ? `protocol "${endpoint.split(':')[0]}" not supported` : `rpc error: code = Unavailable desc = name resolver error: produced zero addresses`);
  try {
    const answer = yield* request({ family: 'unix', path }, { method: 'POST', path: '/runtime.v1.RuntimeService/Version', headers: { 'Content-Type': 'application/json' }, body: '{}' });
    if (answer.status >= 400) throw bad(`rpc error: code = Unimplemented desc = unknown service runtime.v1.${kind === 'runtime' ? 'RuntimeService' : 'ImageService'}`);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw bad(`rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix ${path}: connect: ${error.message.toLowerCase()}"`);
  }
}

/** crictl config: shows or sets keys of the configuration file. */
export function* configure(o: Options): Call<void> {
  const values = (parse((yield* tryRead(CONFIG)) ?? '') ?? {}) as Record<string, unknown>;
  const all: Record<string, unknown> = { 'runtime-endpoint': '', 'image-endpoint': '', timeout: 0, debug: false, 'pull-image-on-create': false, 'disable-pull-on-run': false, ...values };
  const get = valueIn(o, 'get');
  const sets = [...(o.values.get('set') ?? []).flatMap((s) => s.split(',')), ...(o.words.length === 2 ? [`${o.words[0]}=${o.words[1]}`] : [])];
  if (get !== undefined) {
    if (!KEYS.includes(get)) throw new CrictlError(`no configuration option "${get}"`);
    yield* print(`${String(all[get])}\n`);
    return;
  }
  if (o.on.has('list')) {
    yield* print(KEYS.map((k) => `${k.padEnd(24)}${String(all[k])}\n`).join(''));
    return;
  }
  if (sets.length === 0) throw new CrictlError(`need to specify at least one config option`);
  for (const one of sets) {
    const [key = '', value = ''] = one.split('=');
    if (!KEYS.includes(key)) throw new CrictlError(`set "${key}" to "${value}": no section "${key}"`);
    all[key] = key === 'timeout' ? Number(value) : key.includes('endpoint') ? value : value === 'true';
  }
  yield* writeFile(CONFIG, KEYS.map((k) => `${k}: ${typeof all[k] === 'string' ? JSON.stringify(all[k]) : String(all[k])}\n`).join(''));
}
