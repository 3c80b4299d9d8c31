/** explain for kinds of definitions: their own schemas and descriptions. Source: kubectl pkg/explain/v2/templates/plaintext.tmpl 1.32. */
import type { Kind } from '../../../cluster/types/kinds.ts';
import type { Json } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, Fatal } from './client.ts';
import { schemaOf } from './custom.ts';

const ROOT: Readonly<Record<string, [string, string]>> = {
  apiVersion: ['string', 'APIVersion defines the versioned schema of this representation of an object.'], kind: ['string', 'Kind is a string value representing the REST resource this object represents.'], metadata: ['ObjectMeta', "Standard object's metadata."],
};

function typed(schema: Json): string {
  if (schema['x-kubernetes-int-or-string']) return 'IntOrString';
  if (schema.type === 'array') return `[]${typed(schema.items ?? {})}`;
  if (schema.type === 'object' && schema.additionalProperties && typeof schema.additionalProperties === 'object') return `map[string]${typed(schema.additionalProperties)}`;
  return schema.type === 'object' || schema.type === undefined ? 'Object' : schema.type;
}

/** What a list's items or a map's values are made of. */
const inside = (schema: Json): Json => (schema?.type === 'array' ? inside(schema.items) : schema?.type === 'object' && typeof schema.additionalProperties === 'object' ? inside(schema.additionalProperties) : schema);

export function* explainCustom(client: Client, kind: Kind, path: readonly string[], recursive: boolean, wrapped: (text: string, indent: number) => string): Call<string> {
  const whole = yield* schemaOf(client, kind);
  const rooted: Json = { ...whole, properties: { ...Object.fromEntries(Object.entries(ROOT).map(([name, [type, description]]) => [name, { type: type === 'string' ? 'string' : 'object', description, named: type }])), ...whole.properties } };
  for (const name of ['apiVersion', 'kind', 'metadata']) if (!rooted.properties[name].description) rooted.properties[name] = { ...rooted.properties[name], description: ROOT[name]![1], named: ROOT[name]![0] };
  let at: Json = rooted;
  for (const part of path) {
    const next = inside(at)?.properties?.[part];
    if (!next) throw new Fatal(`error: field "${part}" does not exist`);
    at = next;
  }
  const head = `GROUP:      ${kind.group}\nKIND:       ${kind.kind}\nVERSION:    ${kind.version}\n\n`;
  const here = path.length > 0 ? `FIELD: ${path.at(-1)} <${at.named ?? typed(at)}>\n${enumOf(at, '')}\n` : '';
  const said = [at.description, ...(inside(at) === at ? [] : [inside(at)?.description])].filter((d) => d).map((d) => `${wrapped(d, 4)}\n`).join('') || '    <empty>\n';
  const lines: string[] = [];
  walk(inside(at), 1, recursive, wrapped, lines);
  return `${head}${here}DESCRIPTION:\n${said}    \n${lines.length > 0 ? `FIELDS:\n${lines.join('\n')}\n` : ''}`;
}

const enumOf = (schema: Json, pad: string): string => (schema.enum ? `${pad}ENUM:\n${schema.enum.map((e: Json) => `${pad}    ${e}`).join('\n')}\n` : '');

function walk(schema: Json, depth: number, recursive: boolean, wrapped: (text: string, indent: number) => string, lines: string[]): void {
  for (const [name, inner] of Object.entries<Json>(schema?.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const pad = '  '.repeat(depth);
    lines.push(`${pad}${name}\t<${inner.named ?? typed(inner)}>${schema.required?.includes(name) ? ' -required-' : ''}`);
    if (inner.enum) lines.push(`${pad}enum: ${inner.enum.join(', ')}`);
    if (!recursive) lines.push(wrapped(inner.description || '<no description>', 4), '');
    else walk(inside(inner), depth + 1, recursive, wrapped, lines);
  }
}
