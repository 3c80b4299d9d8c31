/** The colours of ip -c: names of links, addresses, states. Source: iproute2's lib/color.c, the palette for dark text. */

export const paint = (code: number, text: string): string => `\u001b[${code}m${text}\u001b[0m`;
const name = (text: string): string => paint(36, text);
const mac = (text: string): string => paint(33, text);
const address = (text: string): string => paint(text.includes(':') ? 34 : 35, text);
const state = (text: string): string => paint(text.startsWith('UP') ? 32 : 31, text);

const MAC = /\b([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b/g;

/** Links and addresses, full or on one line. */
export function colouredLink(text: string): string {
  return text
    .replace(/^(\d+: )(\S+: )(?=<)/gm, (_all, index: string, link: string) => `${index}${name(link)}`)
    .replace(/ master (\S+ )/g, (_all, link: string) => ` master ${name(link)}`)
    .replace(/ state ((?:UP|DOWN) )/g, (_all, word: string) => ` state ${state(word)}`)
    .replace(/^ +link\/.*$/gm, (line) => line.replace(MAC, mac))
    .replace(/\b(inet6?) ([0-9a-f.:]+)/g, (_all, family: string, word: string) => `${family} ${address(word)}`)
    .replace(/ brd (\d+\.\d+\.\d+\.\d+ )/g, (_all, word: string) => ` brd ${address(word)}`);
}

/** A line of -br. */
export function colouredBrief(line: string): string {
  const [, link, word, rest] = /^(\S+ +)(\S+ +)(.*\n)$/s.exec(line) ?? [];
  if (link === undefined) return line;
  const shown = /^(UP|DOWN) /.test(word!) ? state(word!) : word!;
  return `${name(link)}${shown}${rest!.replace(new RegExp(`${MAC.source} `), mac).replace(/(^| )([0-9a-f.:]+)(?=\/\d)/g, (_all, space: string, one: string) => `${space}${address(one)}`)}`;
}

/** A route or a neighbour. */
export function colouredRoute(line: string): string {
  return line
    .replace(/\b(via|src) ([\d.]+ )/g, (_all, word: string, one: string) => `${word} ${address(one)}`)
    .replace(/\bdev (\S+ )/, (_all, link: string) => `dev ${name(link)}`)
    .replace(/\blladdr (\S+)/, (_all, one: string) => `lladdr ${mac(one)}`)
    .replace(/^(\w+ )?([\d.]+(?:\/\d+)? )/, (_all, type: string | undefined, to: string) => `${type ?? ''}${address(to)}`);
}
