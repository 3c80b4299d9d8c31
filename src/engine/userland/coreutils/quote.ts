/** How GNU tools quote names in messages and listings: gnulib quotearg's "shell-escape" and locale styles. */

const SAFE = /^[A-Za-z0-9_@%+=:,./^\]{}[!#~-]+$/;

/** quoteaf: always in quotes, as in "cannot access 'x'"; an apostrophe makes it "x's", control characters $'\n'. */
export function quoted(name: string): string {
  if (/[\x00-\x1f\x7f]/.test(name)) return escaped(name);
  if (name.includes("'")) return /["$`\\!]/.test(name) ? `'${name.replaceAll("'", "'\\''")}'` : `"${name}"`;
  return `'${name}'`;
}

/** Quoted only where a shell would need it: names listed on a terminal. */
export function listed(name: string): string {
  if (name !== '' && SAFE.test(name) && !/^[#~]/.test(name) && !/[[{}!]/.test(name.slice(0, 1))) return name;
  return /[^\x00-\x7f]/.test(name) && SAFE.test(name.replace(/[^\x00-\x7f]/g, 'a')) ? name : quoted(name);
}

/** quote() of a UTF-8 locale: ‘x’. */
export function curly(name: string): string {
  return `‘${name.replace(/[\x00-\x1f\x7f]/g, (c) => ESCAPES[c] ?? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)}’`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v',
};

function escaped(name: string): string {
  let out = '';
  for (const run of name.match(/[\x00-\x1f\x7f]+|[^\x00-\x1f\x7f]+/g) ?? []) {
    out += /[\x00-\x1f\x7f]/.test(run)
      ? `$'${[...run].map((c) => ESCAPES[c] ?? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`).join('')}'`
      : `'${run.replaceAll("'", "'\\''")}'`;
  }
  return name.startsWith(out.slice(0, 0)) && /^[\x00-\x1f\x7f]/.test(name) ? `''${out}` : out;
}
