/**
 * A KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) as profiles: score plugins by name, on, off and with weights, the scoring strategy of
 * NodeResourcesFit, and one plugin more than the real scheduler has: Expression, whose rule is arithmetic. Errors say line and column.
 */
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import type { Json } from '../types/objects.ts';
import { compile, ExpressionError } from './expression.ts';
import { fitBy, type Point, type Strategy, type Weighed } from './plugins/strategies.ts';
import { jot, type Profile, type ScorePlugin } from './profile.ts';
import { DEFAULT } from './profiles.ts';

export class ConfigError extends Error {}

const MOST_BYTES = 100_000;
const MOST_PROFILES = 16;

/** Throws ConfigError with the place of the fault. */
export function readConfig(source: string): Profile[] {
  if (source.length > MOST_BYTES) throw new ConfigError('the configuration is larger than 100 kB');
  const counter = new LineCounter();
  const document = parseDocument(source, { lineCounter: counter, prettyErrors: false });
  const fault = document.errors[0];
  if (fault) throw at(counter, fault.pos[0], fault.message.split('\n')[0]!);
  const where = (path: (string | number)[], why: string, column = 0): ConfigError => at(counter, offsetOf(document, path) + column, why);
  let value: Json;
  try {
    value = document.toJS({ maxAliasCount: 20 });
  } catch {
    throw new ConfigError('line 1, column 1: too many aliases');
  }
  if (value?.kind !== 'KubeSchedulerConfiguration') throw where(['kind'], `kind is not KubeSchedulerConfiguration but ${JSON.stringify(value?.kind)}`);
  if (value.apiVersion !== 'kubescheduler.config.k8s.io/v1') throw where(['apiVersion'], `no kind "KubeSchedulerConfiguration" is registered for version ${JSON.stringify(value.apiVersion)}`);
  const given: Json[] = value.profiles ?? [{}];
  if (!Array.isArray(given) || given.length === 0 || given.length > MOST_PROFILES) throw where(['profiles'], `profiles: a list of 1 to ${MOST_PROFILES}`);
  const percentage = percentageOf(value.percentageOfNodesToScore, (why) => where(['percentageOfNodesToScore'], why));
  const out = given.map((profile, i) => profileOf(profile ?? {}, percentage, (path, why, column) => where(['profiles', i, ...path], why, column)));
  for (const [i, profile] of out.entries()) if (out.findIndex((p) => p.schedulerName === profile.schedulerName) !== i) throw where(['profiles', i, 'schedulerName'], `Duplicate value: "${profile.schedulerName}"`);
  return out;
}

function at(counter: LineCounter, offset: number, why: string): ConfigError {
  const { line, col } = counter.linePos(offset);
  return new ConfigError(`line ${line}, column ${col}: ${why}`);
}

/** Where a field stands; of one that is missing, where its parent does. */
function offsetOf(document: Document, path: (string | number)[]): number {
  for (let n = path.length; n >= 0; n--) {
    const node = n === 0 ? document.contents : document.getIn(path.slice(0, n), true);
    if (isNode(node) && node.range) return node.range[0] + (isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE') ? 1 : 0);
    if (isMap(node)) return 0;
  }
  return 0;
}

/** A list, or nothing; anything else is a fault. */
function items(value: Json, path: (string | number)[], where: Where): [number, Json][] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw where(path, `${path[path.length - 1]}: a list is needed`);
  return [...value.entries()];
}

type Where = (path: (string | number)[], why: string, column?: number) => ConfigError;

function percentageOf(value: Json, where: (why: string) => ConfigError): number {
  if (value === undefined || value === null) return 0;
  if (!Number.isInteger(value) || value < 0 || value > 100) throw where(`Invalid value: ${JSON.stringify(value)}: not in valid range [0-100]`);
  return value;
}

function profileOf(given: Json, percentage: number, where: Where): Profile {
  const schedulerName = given.schedulerName ?? 'default-scheduler';
  if (typeof schedulerName !== 'string' || schedulerName === '') throw where(['schedulerName'], 'schedulerName: Required value');
  const args = new Map<string, { args: Json; path: (string | number)[] }>();
  for (const [i, one] of items(given.pluginConfig, ['pluginConfig'], where)) args.set(one?.name, { args: one?.args ?? {}, path: ['pluginConfig', i, 'args'] });
  const known = new Map<string, ScorePlugin>(DEFAULT.scores.map(({ plugin }) => [plugin.name, plugin]));
  const fit = fitOf(args.get('NodeResourcesFit'), where);
  if (fit) known.set('NodeResourcesFit', fit);
  const rule = args.get('Expression');
  if (rule) known.set('Expression', expressionOf(rule, where));
  let scores = DEFAULT.scores.map(({ plugin, weight }) => ({ plugin: known.get(plugin.name)!, weight }));
  const score = given.plugins?.score ?? {};
  for (const [i, one] of items(score.disabled, ['plugins', 'score', 'disabled'], where)) {
    if (one?.name !== '*' && !known.has(one?.name)) throw where(['plugins', 'score', 'disabled', i], `unknown score plugin "${one?.name}": ${[...known.keys()].join(', ')}`);
    scores = one.name === '*' ? [] : scores.filter((s) => s.plugin.name !== one.name);
  }
  for (const [i, one] of items(score.enabled, ['plugins', 'score', 'enabled'], where)) {
    const plugin = known.get(one?.name);
    if (!plugin) throw where(['plugins', 'score', 'enabled', i], one?.name === 'Expression' ? 'Expression has no rule: pluginConfig names it with args.rule' : `unknown score plugin "${one?.name}": ${[...known.keys()].join(', ')}`);
    const weight = one.weight ?? 1;
    if (!Number.isInteger(weight) || weight < 1 || weight > 1000) throw where(['plugins', 'score', 'enabled', i, 'weight'], `Invalid value: ${JSON.stringify(weight)}: a whole number from 1 to 1000`);
    scores = [...scores.filter((s) => s.plugin.name !== plugin.name), { plugin, weight }];
  }
  if (rule && !scores.some((s) => s.plugin.name === 'Expression')) scores = [...scores, { plugin: known.get('Expression')!, weight: 1 }];
  return { ...DEFAULT, name: schedulerName, schedulerName, percentageOfNodesToScore: given.percentageOfNodesToScore === undefined ? percentage : percentageOf(given.percentageOfNodesToScore, (why) => where(['percentageOfNodesToScore'], why)), scores };
}

const STRATEGIES: readonly Strategy[] = ['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'];

/** Null: as it is without a word. */
function fitOf(given: { args: Json; path: (string | number)[] } | undefined, where: Where): ScorePlugin | null {
  const strategy = given?.args.scoringStrategy;
  if (strategy === undefined || strategy === null) return null;
  const path = [...given!.path, 'scoringStrategy'];
  const type: Strategy = strategy.type ?? 'LeastAllocated';
  if (!STRATEGIES.includes(type)) throw where([...path, 'type'], `Unsupported value: ${JSON.stringify(type)}: supported values: ${STRATEGIES.map((s) => `"${s}"`).join(', ')}`);
  const resources = items(strategy.resources, [...path, 'resources'], where).map(([i, one]): Weighed => {
    const weight = one?.weight ?? 1;
    if (typeof one?.name !== 'string' || one.name === '') throw where([...path, 'resources', i], 'name: Required value');
    if (!Number.isInteger(weight) || weight < 1 || weight > 100) throw where([...path, 'resources', i, 'weight'], `Invalid value: ${JSON.stringify(weight)}: resource weight of ${one.name} not in valid range [1, 100]`);
    return { name: one.name, weight };
  });
  return fitBy(type, resources.length > 0 ? resources : [{ name: 'cpu', weight: 1 }, { name: 'memory', weight: 1 }], type === 'RequestedToCapacityRatio' ? shapeOf(strategy, path, where) : []);
}

function shapeOf(strategy: Json, path: (string | number)[], where: Where): Point[] {
  const at = [...path, 'requestedToCapacityRatio', 'shape'];
  const points = items(strategy.requestedToCapacityRatio?.shape, at, where);
  if (points.length === 0) throw where(at, 'Required value: at least one point must be specified');
  return points.map(([i, point]): Point => {
    for (const [field, most] of [['utilization', 100], ['score', 10]] as const) {
      const value = point?.[field] ?? 0;
      if (!Number.isInteger(value) || value < 0 || value > most) throw where([...at, i, field], `Invalid value: ${JSON.stringify(value)}: not in valid range [0-${most}]`);
    }
    const { utilization = 0, score = 0 } = point;
    if (i > 0 && utilization <= (points[i - 1]![1].utilization ?? 0)) throw where([...at, i, 'utilization'], `Invalid value: ${utilization}: utilization values must be sorted in increasing order`);
    return { utilization, score };
  });
}

/** A rule's numbers are scores as they are, held between 0 and 100, or spread over that range with normalize: true. */
function expressionOf({ args, path }: { args: Json; path: (string | number)[] }, where: Where): ScorePlugin {
  const given = typeof args.rule === 'number' ? String(args.rule) : args.rule;
  if (typeof given !== 'string' || given.trim() === '') throw where([...path, 'rule'], 'rule: Required value: such as "100 * cpuAfter"');
  const source: string = given;
  let rule: ReturnType<typeof compile>;
  try {
    rule = compile(source);
  } catch (error) {
    if (error instanceof ExpressionError) throw where([...path, 'rule'], `rule: ${error.message}`, error.column - 1);
    throw error;
  }
  return {
    name: 'Expression',
    applies: () => true,
    score(state, index, operands) {
      const value = rule(state, index);
      jot(operands, value);
      return value;
    },
    normalize(_state, scores) {
      let [low, high] = [0, 100];
      if (args.normalize === true) {
        low = scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
        high = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      }
      for (let i = 0; i < scores.length; i++) scores[i] = high > low ? Math.trunc(Math.min(100, Math.max(0, (100 * (scores[i]! - low)) / (high - low)))) : 0;
    },
    formula: ({ 0: value = 0 }) => `${source} = ${Math.round(value * 1000) / 1000}`,
  };
}
