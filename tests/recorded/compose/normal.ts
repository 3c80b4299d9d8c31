/**
 * Beside what docker's recordings leave out: the order of lines told at the same time (progress, logs of several containers, Go's order
 * of a map's keys), times before warnings, hashes of configurations, which are JSON's own order of another language's records.
 */
import { containersNormal } from '../docker/normal.ts';
import type { Recorded } from '../transcripts.ts';

const RULES: readonly (readonly [RegExp, string])[] = [
  [/^time="[^"]*" /gm, 'time=T '],
  [/\b(\w+-)run-ID12\b/g, '$1run-SLUG'],
  [/"(RunningFor|CreatedAt)":"[^"]*"/g, '"$1":"T"'],
  [/^(\S+:?(?:\d+)?) +root +\d+ +\d+ +\d+ +/gm, '$1 root PID '],
];

/** Progress and logs are told by several threads; `config` walks maps. */
const UNORDERED = /compose.* (up|down|stop|start|restart|kill|rm|create|pull|push|pause|unpause|logs|run|build|config|ls|scale|wait|events)\b/;

const sorted = (text: string): string => (text.includes('\n') ? `${text.trimEnd().split('\n').sort().join('\n')}\n` : text);

export function composeNormal(text: string, line: Recorded): string {
  const told = / logs\b/.test(line.cmd) ? text : text.replaceAll('\x1b[2K', '');
  const plain = RULES.reduce((t, [rule, by]) => t.replace(rule, by), containersNormal(told, line)).replace(/"Labels":"([^"]*)"/g, (_, all: string) => `"Labels":"${all.split(/,(?=[\w.]+=)/).sort().join(',')}"`);
  return UNORDERED.test(line.cmd) && !/ config(?! --(?:services|images|volumes|profiles|hash))/.test(line.cmd) ? sorted(plain) : plain;
}
