/**
 * What people type at kubectl and get wrong: YAML (words and lines as go-yaml has them, from libyaml's algorithm), selectors,
 * JSONPath templates.
 */
import { describe, expect, it } from 'vitest';
import { parseSelector } from '../../../src/engine/cluster/types/selectors.ts';
import { jsonPath, parsePath, relaxed, results } from '../../../src/engine/userland/kube/kubectl/jsonpath.ts';
import { readManifest } from '../../../src/engine/userland/kube/kubectl/manifest.ts';

describe('broken YAML', () => {
  it.each([
    ["a: b\nspec:\n\tc: d\n", "yaml: line 3: found character that cannot start any token"],
    ["a: b\nmetadata:\n  name: x\n spec:\n  c: d\n", "yaml: line 3: did not find expected key"],
    ["metadata:\n  name: x\n    foo: bar\n", "yaml: line 3: mapping values are not allowed in this context"],
    ["a:\n  b:\n    c: d\n   e: f\n", "yaml: line 1: did not find expected key"],
    ["c:\n- name: a\n  image: b\n - name: c\n", "yaml: line 3: did not find expected key"],
    ["c:\n  - a\n - b\n", "yaml: line 2: did not find expected key"],
    ["a: b\nfoo\nc: d\n", "yaml: line 2: could not find expected ':'"],
    ["kind: Pod\nmetadata\n  name: x\n", "yaml: line 2: could not find expected ':'"],
    ["a: b: c\n", "yaml: mapping values are not allowed in this context"],
    ["x: y\na: b: c\n", "yaml: line 2: mapping values are not allowed in this context"],
    ["a: b\nc: [1, 2\nd: e\n", "yaml: line 1: did not find expected ',' or ']'"],
    ["a: b\nc: {x: 1\nd: e\n", "yaml: line 1: did not find expected ',' or '}'"],
    ["a: [", "yaml: did not find expected node content"],
    ["a: {b: 1\n", "yaml: line 1: did not find expected ',' or '}'"],
    ["a: [1, 2\n", "yaml: line 1: did not find expected ',' or ']'"],
    ["a: b\nc: \"x\nd: e\n", "yaml: line 2: found unexpected end of stream"],
    ["a: b\nc: 'x\n", "yaml: line 2: found unexpected end of stream"],
    ["a: \"\\z\"\n", "yaml: found unknown escape character"],
    ["a: @x\n", "yaml: found character that cannot start any token"],
    ["a: `x`\n", "yaml: found character that cannot start any token"],
    ["a: *nope\n", "yaml: unknown anchor 'nope' referenced"],
    ["a: &\n", "yaml: did not find expected alphabetic or numeric character"],
    ["a: }\n", "yaml: did not find expected node content"],
    ["x: y\na: ]\n", "yaml: line 1: did not find expected node content"],
    ["a: ,\n", "yaml: did not find expected node content"],
    ["- a\nb: c\n", "yaml: line 1: did not find expected '-' indicator"],
    ["a: b\n- c\n", "yaml: line 1: did not find expected key"],
    ["a:\n  b: c\n  - d\n", "yaml: line 1: did not find expected key"],
    ["a: b\n---\nc: [\n", "yaml: line 1: did not find expected node content"],
    ["a:\n  - b:\n    - c\n   d: e\n", "yaml: line 1: did not find expected '-' indicator"],
    ['a: {{ x }}\n', 'yaml: invalid map key: map[interface {}]interface {}{"x":interface {}(nil)}'],
  ])('%j', (source, said) => {
    expect(() => readManifest(source, 'x.yaml')).toThrow(`error parsing x.yaml: error converting YAML to JSON: ${said}`);
  });

  it('keeps the last of two equal keys', () => {
    expect(readManifest('a: 1\na: 2\n', 'x.yaml').map((i) => i.object)).toEqual([{ a: 2 }]);
  });
});

describe('selectors', () => {
  it.each([
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"], ['a in b', "unable to parse requirement: found 'b' expected: '('"], ['=', "found '=', expected: !, identifier, or 'end of string'"],
    ['a=b,', "found '', expected: identifier after ','"], ['a=b c=d', "found 'c', expected: ',' or 'end of string'"], ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['!', "unable to parse requirement: found '', expected: identifier"], ['a>x', 'unable to parse requirement: values[0]: Invalid value: "x": for \'Gt\', \'Lt\' operators, the value must be an integer'],
  ])('%s is refused', (text, said) => expect(parseSelector(text)).toBe(said));

  it.each([
    ['a in (c, b),!d', [{ key: 'a', op: 'In', values: ['b', 'c'] }, { key: 'd', op: 'DoesNotExist', values: [] }]], ['a notin (,x)', [{ key: 'a', op: 'NotIn', values: ['', 'x'] }]],
    ['in in (in)', [{ key: 'in', op: 'In', values: ['in'] }]], ['a=,b!=c', [{ key: 'a', op: 'In', values: [''] }, { key: 'b', op: 'NotIn', values: ['c'] }]], ['n>5', [{ key: 'n', op: 'Gt', values: ['5'] }]], ['', []],
  ])('%s', (text, parsed) => expect(parseSelector(text)).toEqual(parsed));
});

describe('JSONPath', () => {
  const data = { kind: 'List', items: [{ n: 'a', v: 1, tags: ['x', 'y'], m: { 'b.c': true } }, { n: 'b', v: 2, tags: [], m: null }] };

  it.each([
    ['{.items[*].n}', 'a b'], ['{.items[0,1].n}', 'a b'], ["{.items[0]['n','v']}", 'a 1'], ['{.items[-1].n}', 'b'], ['{.items[:1].n}{"\\n"}', 'a\n'], ['{.items[0:2:2].n}', 'a'], ['{..n}', 'a b'], ['{.items[?(@.v>1)].n}', 'b'],
    ['{range .items[*]}{.n}{range .tags[*]}<{@}>{end}{";"}{end}{.kind}', 'a<x><y>;b;List'], ['{range .items[*]}{.n}-', 'a-b-'], ['{.items[0].m.b\\.c}', 'true'], ['{.items[1].m}', 'null'], ['{.items[0].tags}', '["x","y"]'], ['plain', 'plain'], ['{.nope}', ''],
    ['{.items[?(@.n=="a")].tags[*]}', 'x y'], ['{$.kind} {@.kind}', 'List List'],
  ])('%s', (template, said) => expect(jsonPath(parsePath(template), data)).toBe(said));

  it.each([
    ['{.a', 'unclosed action'], ['{.a[0', 'unterminated array'], ['{.a[x]}', 'invalid array index x'], ['{"a', 'unterminated quoted string'], ['{.a[?(@.b}', 'unterminated filter'], ['{.a[?(@.b)x}', 'unclosed array expect ]'],
    ['{....a}', 'invalid multiple recursive descent'], ['{#}', "unrecognized character in action: U+0023 '#'"],
  ])('%s cannot be read', (template, said) => expect(() => parsePath(template)).toThrow(said));

  it.each([
    ['{.items[9]}', 'array index out of bounds: index 9, length 2'], ['{.kind[0]}', 'string is not array or slice'], ['{end}', 'not in range, nothing to end'], ['{foo}', 'unrecognized identifier foo'], ['{.items[?(@.v=="1")]}', 'incompatible types for comparison'],
    ['{.items[0:2:0]}', 'step must be > 0'],
  ])('%s finds nothing to say', (template, said) => expect(() => jsonPath(parsePath(template), data)).toThrow(said));

  it('takes paths as people write them, and is strict when asked', () => {
    expect(['a.b', '.a.b', '{a.b}', '{.a.b}'].map(relaxed)).toEqual(['{.a.b}', '{.a.b}', '{.a.b}', '{.a.b}']);
    expect(() => relaxed('{.a')).toThrow('unexpected path string');
    expect(() => results(parsePath('{.nope}'), data, true)).toThrow('nope is not found');
  });
});
