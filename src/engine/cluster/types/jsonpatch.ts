/** JSON patch (RFC 6902) with JSON pointers (RFC 6901). */
import { copy, type Json } from './objects.ts';

/** The patched copy; a text says why it cannot be. */
export function jsonPatch(target: Json, operations: Json): Json | string {
  if (!Array.isArray(operations)) return 'json: cannot unmarshal object into Go value of type jsonpatch.Patch';
  const root: Json = { whole: copy(target) };
  for (const step of operations) {
    const fault = perform(root, step);
    if (fault !== null) return fault;
  }
  return root.whole;
}

const decoded = (pointer: unknown): string[] => ['whole', ...String(pointer ?? '').split('/').slice(1).map((p) => p.replace(/~1/g, '/').replace(/~0/g, '~'))];

/** The container that a pointer's last part is in. */
function container(root: Json, path: readonly string[]): Json {
  let at = root;
  for (const part of path.slice(0, -1)) {
    if (at === null || typeof at !== 'object' || part === '__proto__') return undefined;
    at = Array.isArray(at) ? at[Number(part)] : Object.hasOwn(at, part) ? at[part] : undefined;
  }
  return at !== null && typeof at === 'object' ? at : undefined;
}

function perform(root: Json, step: Json): string | null {
  const path = decoded(step?.path);
  const last = path.at(-1)!;
  const missing = `${step?.op} operation does not apply: doc is missing path: "${step?.path}": missing value`;
  const at = container(root, path);
  if (at === undefined || last === '__proto__') return missing;
  const there = Array.isArray(at) ? at[Number(last)] : at[last];
  switch (step?.op) {
    case 'test':
      return JSON.stringify(there ?? null) === JSON.stringify(step.value ?? null) ? null : `testing value ${step.path} failed: test failed`;
    case 'remove':
      if (there === undefined) return `remove operation does not apply: doc is missing ${Array.isArray(at) ? 'path' : 'key'}: ${step.path}: missing value`;
      return take(at, last);
    case 'replace':
      if (there === undefined && path.length > 1) return `replace operation does not apply: doc is missing key: ${step.path}: missing value`;
      at[Array.isArray(at) ? Number(last) : last] = copy(step.value);
      return null;
    case 'add':
      return insert(at, last, copy(step.value));
    case 'move':
    case 'copy': {
      const from = decoded(step.from);
      const source = container(root, from);
      const value = source === undefined ? undefined : source[Array.isArray(source) ? Number(from.at(-1)) : from.at(-1)!];
      if (value === undefined) return `${step.op} operation does not apply: doc is missing from path: ${step.from}: missing value`;
      const kept = copy(value);
      if (step.op === 'move') take(source, from.at(-1)!);
      return insert(at, last, kept);
    }
    default:
      return `Unexpected kind: ${String(step?.op)}`;
  }
}

function take(at: Json, last: string): null {
  if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return null;
}

function insert(at: Json, last: string, value: Json): string | null {
  if (!Array.isArray(at)) at[last] = value;
  else if (last === '-') at.push(value);
  else if (!/^\d+$/.test(last) || Number(last) > at.length) return `add operation does not apply: doc is missing path: Unable to access invalid index: ${last}: invalid index referenced`;
  else at.splice(Number(last), 0, value);
  return null;
}
