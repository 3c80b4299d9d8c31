/** Faults of fields as `field.Error` makes them, and the checks that everything shares: ranges, ports, percentages. */
import { type Fault, goValue } from '../errors.ts';
import { type Json, same } from '../types/objects.ts';

export type Faults = Fault[];

export const required = (field: string, detail?: string): Fault => ({ field, type: 'Required value', ...(detail ? { detail } : {}) });
export const forbidden = (field: string, detail: string): Fault => ({ field, type: 'Forbidden', detail });
export const invalid = (field: string, value: unknown, detail: string): Fault => ({ field, type: 'Invalid value', value: goValue(value), detail });
/** With the value already as Go prints it. */
export const invalidAs = (field: string, value: string, detail: string): Fault => ({ field, type: 'Invalid value', value, detail });
export const duplicate = (field: string, value: unknown): Fault => ({ field, type: 'Duplicate value', value: goValue(value) });
export const missing = (field: string, value: unknown): Fault => ({ field, type: 'Not found', value: goValue(value) });
export const tooLong = (field: string, most: number): Fault => ({ field, type: 'Too long', detail: `may not be more than ${most} bytes` });
export const tooMany = (field: string, count: number, most: number): Fault => ({ field, type: 'Too many', value: String(count), detail: `must have at most ${most} items` });
export const unsupported = (field: string, value: unknown, known: readonly string[]): Fault =>
  ({ field, type: 'Unsupported value', value: goValue(value), detail: `supported values: ${known.map((k) => JSON.stringify(k)).join(', ')}` });

export const IMMUTABLE = 'field is immutable';
export const POSITIVE = 'must be greater than or equal to 0';

export function atLeastZero(value: Json, field: string, out: Faults): void {
  if (typeof value === 'number' && value < 0) out.push(invalid(field, value, POSITIVE));
}

export function within(value: Json, low: number, high: number, field: string, out: Faults): void {
  if (typeof value === 'number' && (value < low || value > high)) out.push(invalid(field, value, `must be between ${low} and ${high}, inclusive`));
}

export const port = (value: Json, field: string, out: Faults): void => within(value, 1, 65535, field, out);

/** One of a set; absent is required. */
export function oneOf(value: Json, known: readonly string[], field: string, out: Faults): void {
  if (value === undefined || value === '') out.push(required(field));
  else if (!known.includes(value)) out.push(unsupported(field, value, known));
}

export function unchanged(now: Json, old: Json, field: string, out: Faults, print: (value: Json) => string = goValue): void {
  if (!same(now, old)) out.push(invalidAs(field, now === undefined || now === null ? 'null' : print(now), IMMUTABLE));
}

/** "example: x, or y" as validation.RegexError ends. */
export const regexText = (what: string, pattern: string, ...examples: string[]): string =>
  `${what} (${examples.length > 0 ? `e.g. ${examples.map((e) => `'${e}'`).join(',  or ')}, ` : ''}regex used for validation is '${pattern}')`;

export const intOrString = (value: Json): string =>
  typeof value === 'string' ? `intstr.IntOrString{Type:1, IntVal:0, StrVal:${JSON.stringify(value)}}` : `intstr.IntOrString{Type:0, IntVal:${value}, StrVal:""}`;

const PERCENT = regexText("a valid percent string must be a numeric string followed by an ending '%'", '[0-9]+%', '1%', '93%');

/** A number from 0 on or a percentage. */
export function countOrPercent(value: Json, field: string, out: Faults): void {
  if (typeof value === 'string') {
    if (!/^[0-9]+%$/.test(value)) out.push(invalidAs(field, intOrString(value), PERCENT));
  } else atLeastZero(value, field, out);
}

export function atMostHundred(value: Json, field: string, out: Faults): void {
  if (typeof value === 'string' && /^[0-9]+%$/.test(value) && Number(value.slice(0, -1)) > 100) out.push(invalidAs(field, intOrString(value), 'must not be greater than 100%'));
}

/** What of a kind the lab does not do is refused, so that nobody waits for it. */
export function notModelled(spec: Json, field: string, fields: readonly string[], out: Faults): void {
  for (const name of fields) if (spec?.[name] !== undefined) out.push(forbidden(`${field}.${name}`, 'not modelled'));
}
