/**
 * Configurations of pods and containers as crictl reads them: YAML or JSON, fields in snake case or camel case, namespaces
 * by number. Source: kubernetes-sigs/cri-tools cmd/crictl/util.go; cri-api's JSON names.
 */
import { parseDocument } from 'yaml';
import { tryRead } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Message } from '../cri/state.ts';
import { CrictlError } from './output.ts';

/** Whose keys are the person's own words. */
const OWN: ReadonlySet<string> = new Set(['labels', 'annotations', 'sysctls', 'unified']);
const MODES = ['POD', 'CONTAINER', 'NODE', 'TARGET'];
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];

function camel(value: unknown, under = ''): unknown {
  if (Array.isArray(value)) return value.map((v) => camel(v, under));
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'number' && /^(network|pid|ipc)$/.test(under)) return MODES[value] ?? value;
    return typeof value === 'number' && under === 'protocol' ? (PROTOCOLS[value] ?? value) : value;
  }
  return Object.fromEntries(Object.entries(value).filter(([k]) => k !== '__proto__').map(([k, v]) => {
    const key = OWN.has(under) ? k : k.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
    return [key, OWN.has(under) ? v : camel(v, key)];
  }));
}

/** Throws CrictlError after what it was doing. */
export function* configOf(path: string, doing: string): Call<Message> {
  const source = yield* tryRead(path);
  if (source === null) throw new CrictlError(`${doing}: config at ${path} not found`);
  if (source.trim() === '') throw new CrictlError(`${doing}: config at ${path} is empty`);
  const document = parseDocument(source, { version: '1.1', prettyErrors: false, logLevel: 'silent' });
  const fault = document.errors[0];
  if (fault) throw new CrictlError(`${doing}: error converting YAML to JSON: yaml: ${fault.message.replace(/\s+/g, ' ')}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch {
    throw new CrictlError(`${doing}: error converting YAML to JSON: yaml: document contains excessive aliasing`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new CrictlError(`${doing}: error unmarshaling JSON: json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type v1.PodSandboxConfig`);
  return camel(value) as Message;
}
