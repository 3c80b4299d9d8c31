/** Failures of the API as the real server words them: a Status with reason and code. */
import { isObject, type Json, type KubeObject, type Status } from './types/objects.ts';
import { type Kind, nameOf, qualified } from './types/kinds.ts';

/** Thrown by every operation on the API; `status` is the body of the answer. */
export class ApiError extends Error {
  readonly status: Status & { code: number; reason: string; message: string };
  constructor(code: number, reason: string, message: string, details?: Json) {
    super(message);
    this.status = {
      kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, ...(details ? { details } : {}), code,
    };
  }
}

/** One fault of a field, as field.Error prints it. */
export interface Fault {
  field: string;
  /** "Invalid value", "Required value", "Forbidden", "Unsupported value", "Not found", "Duplicate value", "Too long". */
  type: string;
  /** As Go's %#v prints it; absent for "Required value" and "Forbidden". */
  value?: string;
  detail?: string;
}

export function faultText(fault: Fault): string {
  const value = fault.value === undefined ? '' : `: ${fault.value}`;
  return `${fault.field}: ${fault.type}${value}${fault.detail ? `: ${fault.detail}` : ''}`;
}

const details = (kind: Kind, name: string): Json => ({ name, ...(kind.group ? { group: kind.group } : {}), kind: kind.plural });

export const notFound = (kind: Kind, name: string): ApiError =>
  new ApiError(404, 'NotFound', `${qualified(kind)} "${name}" not found`, details(kind, name));

export const alreadyExists = (kind: Kind, name: string): ApiError =>
  new ApiError(409, 'AlreadyExists', `${qualified(kind)} "${name}" already exists`, details(kind, name));

export const conflict = (kind: Kind, name: string, why?: string): ApiError =>
  new ApiError(
    409, 'Conflict',
    `Operation cannot be fulfilled on ${qualified(kind)} "${name}": ${why ?? 'the object has been modified; please apply your changes to the latest version and try again'}`,
    details(kind, name),
  );

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);

export const forbidden = (kind: Kind, name: string, why: string): ApiError =>
  new ApiError(403, 'Forbidden', `${qualified(kind)} "${name}" is forbidden: ${why}`, details(kind, name));

export function invalid(kind: Kind, name: string, faults: readonly Fault[]): ApiError {
  const texts = faults.map(faultText);
  const group = kind.group === '' ? '' : `.${kind.group}`;
  const all = texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${nameOf(kind)}${group} "${name}" is invalid: ${all}`, {
    name, ...(kind.group ? { group: kind.group } : {}), kind: nameOf(kind),
    causes: faults.map((f, i) => ({ reason: `FieldValue${f.type.split(' ')[0]}`, message: texts[i]!.slice(f.field.length + 2), field: f.field })),
  });
}

export const noSuchPath = (): ApiError =>
  new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});

/** Go's %#v of what a manifest held. */
export function goValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (isObject(value)) {
    const entries = Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[string]string{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(String(v))}`).join(', ')}}`;
  }
  return String(value);
}

/** What an object is called by admission that changes objects: a name that is made up is not there yet. */
export function givenName({ metadata: { name, generateName } }: KubeObject): string {
  return generateName && name.startsWith(generateName) && name.length === generateName.length + 5 ? generateName : name;
}
