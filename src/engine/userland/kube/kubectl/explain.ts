/** explain: kinds and fields by the table that decodes manifests; what they mean is told in words of our own, where held. Source: kubectl pkg/explain 1.32. */
import { apiVersionOf, findResource, type Kind, SERVED } from '../../../cluster/types/kinds.ts';
import { fieldsOf } from '../../../cluster/types/schema.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, Fatal, out } from './client.ts';
import { discover } from './custom.ts';
import { explainCustom } from './explain-custom.ts';
import { docOf, REQUIRED } from './explain-docs.ts';
import { type Flags, on } from './flags.ts';

export const EXPLAIN_FLAGS = 'recursive api-version= o/output=';

const WORDS: Readonly<Record<string, string>> = { s: 'string', i: 'integer', b: 'boolean', q: 'Quantity', t: 'Time', x: 'IntOrString', m: 'map[string]string', Q: 'map[string]Quantity', o: 'Object' };
const inner = (t: string): string => t.replace(/^\[|\]$/g, '');
const shown = (t: string): string => (t.startsWith('[') ? `[]${WORDS[inner(t)] ?? inner(t)}` : (WORDS[t] ?? t));

/** Paragraphs of at most 80 columns. */
function wrapped(text: string, indent: number): string {
  const pad = ' '.repeat(indent);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && pad.length + line.length + 1 + word.length > 80) {
      lines.push(pad + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, pad + line].join('\n');
}

export function* explain(client: Client, flags: Flags): Call<number> {
  if (flags.args.length === 0) throw new Fatal('error: You must specify the type of resource to explain. Use "kubectl api-resources" for a complete list of supported resources.');
  if (flags.args.length > 1) throw new Fatal("error: We accept only this format: explain RESOURCE\nSee 'kubectl explain -h' for help and examples");
  const format = flags.text.get('output') ?? 'plaintext';
  if (format !== 'plaintext' && format !== 'plaintext-openapiv2') throw new Fatal(`error: unrecognized format: ${format}`);
  const { kind, path } = yield* kindOf(client, flags.args[0]!, flags.text.get('api-version'));
  if (kind.custom) {
    yield* out(`${yield* explainCustom(client, kind, path, on(flags, 'recursive'), wrapped)}\n`);
    return 0;
  }
  let structure = kind.kind;
  let type = structure;
  let doc = docOf(structure, '');
  for (const part of path) {
    const field = fieldsOf(structure)?.get(part);
    if (field === undefined) throw new Fatal(`error: field "${part}" does not exist`);
    doc = docOf(structure, part);
    type = field;
    structure = inner(field);
  }
  const columns = `${kind.group ? `GROUP:      ${kind.group}\n` : ''}KIND:       ${kind.kind}\nVERSION:    ${kind.version}\n\n`;
  const here = path.length > 0 ? `FIELD: ${path.at(-1)} <${shown(type)}>\n\n` : '';
  const own = path.length > 0 && fieldsOf(structure) ? docOf(structure, '') : '';
  const text = `${columns}${here}DESCRIPTION:\n${[doc, own].filter((d) => d !== '').map((d) => `${wrapped(d, 4)}\n`).join('') || '    <empty>\n'}    \n${fields(structure, on(flags, 'recursive'))}`;
  yield* out(`${text}\n`);
  return 0;
}

function* kindOf(client: Client, typed: string, version: string | undefined): Call<{ kind: Kind; path: string[] }> {
  const parts = typed.split('.');
  // The longest beginning that is a resource with its group: "deployments.apps.spec".
  for (let n = parts.length; n > 0; n--) {
    const kind = findResource(parts.slice(0, n).join('.'));
    if (!kind) continue;
    const wanted = version === undefined ? kind : SERVED.find((k) => k.kind === kind.kind && apiVersionOf(k) === version);
    if (!wanted) throw new Fatal(`error: couldn't find resource for ${JSON.stringify(`${version}, Resource=${kind.plural}`)}`);
    return { kind: wanted, path: parts.slice(n) };
  }
  for (let n = parts.length; n > 0; n--) {
    const kind = yield* discover(client, parts.slice(0, n).join('.'));
    if (kind) return { kind, path: parts.slice(n) };
  }
  throw new Fatal(`the server doesn't have a resource type "${parts[0]}"`);
}

function fields(structure: string, recursive: boolean): string {
  const all = fieldsOf(structure);
  if (!all) return '';
  const lines: string[] = ['FIELDS:'];
  const walk = (name: string, depth: number, above: readonly string[]): void => {
    for (const [field, t] of [...(fieldsOf(name) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const needed = REQUIRED[name]?.includes(field) ? ' -required-' : '';
      lines.push(`${'  '.repeat(depth)}${field}\t<${shown(t)}>${needed}`);
      if (!recursive) lines.push(wrapped(docOf(name, field) || '<no description>', 4), '');
      else if (!above.includes(inner(t))) walk(inner(t), depth + 1, [...above, inner(t)]);
    }
  };
  walk(structure, 1, [structure]);
  return `${lines.join('\n')}\n`;
}

