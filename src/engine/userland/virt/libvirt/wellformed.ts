/**
 * Whether a text is XML at all, with the complaints of libxml2 as libvirt shows them: line, message, the line itself and a
 * caret. Only what makes a document unreadable; what it says is xml.ts's. Left out: DTDs, namespaces, character references
 * beyond their form.
 */

interface Open {
  name: string;
  line: number;
}

/** The complaint, or null when the text is well formed. */
export function complaint(source: string): string | null {
  const at = (offset: number, message: string): string => {
    const line = source.slice(0, offset).split('\n').length;
    const start = source.lastIndexOf('\n', offset - 1) + 1;
    const end = source.indexOf('\n', offset);
    const shown = source.slice(start, end < 0 ? source.length : end);
    return `(domain_definition):${line}: ${message}\n${shown === '' ? '(null)\n^' : `${shown}\n${'-'.repeat(offset - start)}^`}`;
  };
  const first = source.search(/\S/);
  if (first < 0) return '(domain_definition):1: Document is empty\n(null)\n^';
  if (source[first] !== '<') return at(first, "Start tag expected, '<' not found");
  const open: Open[] = [];
  const token = /<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<!DOCTYPE[^>]*>|<(\/?)([\w:.-]+)((?:"[^"]*"|'[^']*'|[^<>"'])*?)(\/?)>|&(?:#\d+|#x[0-9a-f]+|[\w:.-]+);|[&<]/gi;
  for (const match of source.matchAll(token)) {
    const after = match.index + match[0].length;
    if (match[0] === '&') return at(after, 'xmlParseEntityRef: no name');
    if (match[0] === '<') return at(after, 'StartTag: invalid element name');
    const name = match[2];
    if (name === undefined) continue;
    if (match[1] === '/') {
      const last = open.pop();
      if (!last) return at(match.index, 'Extra content at the end of the document');
      if (last.name !== name) return at(after, `Opening and ending tag mismatch: ${last.name} line ${last.line} and ${name}`);
    } else if (match[4] !== '/') open.push({ name, line: source.slice(0, match.index).split('\n').length });
  }
  const last = open.at(-1);
  return last ? at(source.length, `Premature end of data in tag ${last.name} line ${last.line}`) : null;
}
