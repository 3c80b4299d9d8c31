/** A Corefile: server blocks by zone, each with its plugins and their options. Source: coredns.io/manual/configuration. */

export interface Plugin {
  name: string;
  args: string[];
  /** Lines of its block. */
  options: string[][];
}

export interface ServerBlock {
  zones: string[];
  port: number;
  plugins: Plugin[];
}

/** Throws Error in CoreDNS' words for what is not understood. */
export function parseCorefile(source: string): ServerBlock[] {
  const lines = source.split('\n').map((l) => l.replace(/#.*/, '').trim()).filter((l) => l !== '');
  const out: ServerBlock[] = [];
  let at = 0;
  while (at < lines.length) {
    const head = lines[at++]!;
    if (!head.endsWith('{')) throw new Error(`Corefile:${at} - Error during parsing: Unexpected token '${head}', expecting '{'`);
    const keys = head.slice(0, -1).trim().split(/[\s,]+/).filter(Boolean).map((k) => k.replace(/^dns:\/\//, ''));
    const plugins: Plugin[] = [];
    while (at < lines.length && lines[at] !== '}') {
      const line = lines[at++]!;
      const [name = '', ...args] = line.replace(/\{$/, '').trim().split(/\s+/);
      const options: string[][] = [];
      if (line.endsWith('{')) {
        while (at < lines.length && lines[at] !== '}') options.push(lines[at++]!.split(/\s+/));
        at++;
      }
      if (!KNOWN.has(name)) throw new Error(`Corefile:${at} - Error during parsing: Unknown directive '${name}'`);
      plugins.push({ name, args, options });
    }
    if (at >= lines.length) throw new Error('Corefile - Error during parsing: Unexpected EOF');
    at++;
    const ports = keys.map((k) => Number(/:(\d+)$/.exec(k)?.[1] ?? 53));
    out.push({ zones: keys.map((k) => `${k.replace(/:\d+$/, '').replace(/\.$/, '')}.`.replace(/^\.$/, '.')), port: ports[0] ?? 53, plugins });
  }
  return out;
}

const KNOWN = new Set(['errors', 'health', 'ready', 'kubernetes', 'prometheus', 'forward', 'cache', 'loop', 'reload', 'loadbalance', 'log', 'hosts', 'rewrite', 'whoami', 'template']);

export const pluginOf = (block: ServerBlock, name: string): Plugin | undefined => block.plugins.find((p) => p.name === name);
export const optionOf = (plugin: Plugin | undefined, name: string): string[] | undefined => plugin?.options.find((o) => o[0] === name)?.slice(1);
