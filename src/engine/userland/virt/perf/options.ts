/**
 * Options as perf takes and explains them (tools/lib/subcmd/parse-options.c): a table of rows, from which the usage text and
 * the complaints come. An option cluster may end in one that takes a value; the first word ends the options where a command
 * may follow.
 */
export interface Row {
  short?: string;
  long: string;
  /** "<n>" when it takes a value. */
  value?: string;
  help: string;
}

/** Printed on standard error; the status is 129. */
export class Usage extends Error {}

export interface Parsed {
  given: Map<string, string>;
  words: string[];
}

export function usageText(usage: string, rows: readonly Row[]): string {
  const lines = [...rows].sort((a, b) => (a.short && !b.short ? -1 : b.short && !a.short ? 1 : 0)).map(({ short, long, value, help }) => {
    const head = `    ${short ? `-${short}, ` : '    '}--${long}${value ? ` ${value}` : ''}`;
    return head.length <= 24 ? `${head.padEnd(26)}${help}\n` : `${head}\n${' '.repeat(26)}${help}\n`;
  });
  return `\n Usage: ${usage}\n\n${lines.join('')}\n`;
}

export function parse(usage: string, rows: readonly Row[], args: readonly string[], order: 'in-order' | 'permute'): Parsed {
  const out: Parsed = { given: new Map(), words: [] };
  const refuse = (message: string): never => {
    throw new Usage(`  Error: ${message}\n${usageText(usage, rows)}`);
  };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    const rest = (): void => {
      out.words.push(...args.slice(at));
      at = args.length;
    };
    if (arg === '--') {
      at++;
      rest();
    } else if (arg === '-h' || arg === '--help') throw new Usage(usageText(usage, rows));
    else if (arg.startsWith('--')) {
      const [name, inline] = splitOnce(arg.slice(2));
      const row = rows.find((one) => one.long === name) ?? nearest(rows, name) ?? refuse(`unknown option \`${name}'`);
      const value = row.value === undefined ? '' : (inline ?? args[++at] ?? refuse(`option \`${row.long}' requires a value`));
      if (row.value === undefined && inline !== undefined) refuse(`option \`${row.long}' takes no value`);
      out.given.set(row.long, value);
    } else if (arg.startsWith('-') && arg.length > 1) {
      for (let n = 1; n < arg.length; n++) {
        const row = rows.find((one) => one.short === arg[n]) ?? refuse(`unknown switch \`${arg[n]}'`);
        if (row.value === undefined) {
          out.given.set(row.long, '');
          continue;
        }
        out.given.set(row.long, arg.slice(n + 1) || (args[++at] ?? refuse(`switch \`${arg[n]}' requires a value`)));
        break;
      }
    } else if (order === 'in-order') rest();
    else out.words.push(arg);
  }
  return out;
}

function splitOnce(word: string): [string, string | undefined] {
  const cut = word.indexOf('=');
  return cut < 0 ? [word, undefined] : [word.slice(0, cut), word.slice(cut + 1)];
}

function nearest(rows: readonly Row[], name: string): Row | undefined {
  const found = rows.filter((one) => one.long.startsWith(name));
  return found.length === 1 ? found[0] : undefined;
}
