/** Kinds of one's own: a definition, its objects by kubectl, what its schema refuses, what hangs below them, how they go. */
import { beforeAll, describe, expect, it } from 'vitest';
import { readCustoms } from '../../../src/engine/cluster/custom/kinds.ts';
import { faultText, type Fault } from '../../../src/engine/cluster/errors.ts';
import { faultsOf, fillIn, prune } from '../../../src/engine/cluster/custom/schema.ts';
import { byVersion } from '../../../src/engine/cluster/custom/kinds.ts';
import { valuesAt } from '../../../src/engine/cluster/custom/table.ts';
import type { Json } from '../../../src/engine/cluster/types/objects.ts';
import { ask, lab, later, make, said } from '../cluster/lab.ts';
import { type Desk, desk } from './world.ts';

const CRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: crontabs.stable.example.com
spec:
  group: stable.example.com
  scope: Namespaced
  names:
    plural: crontabs
    singular: crontab
    kind: CronTab
    shortNames: [ct]
    categories: [all, timers]
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: CronTab runs something now and then.
        required: [spec]
        properties:
          spec:
            type: object
            required: [cronSpec]
            description: What is wanted.
            properties:
              cronSpec:
                type: string
                pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'
                description: When, in five fields.
              image: {type: string, default: busybox}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
              mode: {type: string, enum: [fast, slow]}
              ports:
                type: array
                items: {type: object, properties: {name: {type: string}, port: {x-kubernetes-int-or-string: true}}}
          status:
            type: object
            properties:
              replicas: {type: integer}
              labelSelector: {type: string}
    additionalPrinterColumns:
    - {name: Spec, type: string, description: The cron spec, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Image, type: string, jsonPath: .spec.image, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.labelSelector}
`;
const CT = `apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: one}
spec: {cronSpec: "* * * * */5", image: mine}
`;

describe('by kubectl', () => {
  let d: Desk;
  beforeAll(() => {
    d = desk('cluster-2', 1);
    d.put('crd.yaml', CRD);
    d.put('ct.yaml', CT);
  });
  const edited = (change: string): string => d.run(`sed '${change}' ct.yaml | kubectl create -f -`);

  it('is unknown before its definition', () => {
    expect(d.run('kubectl get ct')).toBe('error: the server doesn\'t have a resource type "ct"\n');
    expect(d.run('kubectl apply -f ct.yaml')).toContain('no matches for kind "CronTab" in version "stable.example.com/v1"\nensure CRDs are installed first\n');
  });
  it('is served once its names are accepted', () => {
    expect(d.run('kubectl apply -f crd.yaml')).toBe('customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created\n');
    expect(d.run('kubectl wait --for=condition=established crd/crontabs.stable.example.com')).toContain('condition met');
    expect(d.run('kubectl apply -f ct.yaml')).toBe('crontab.stable.example.com/one created\n');
    expect(d.run('kubectl api-resources --api-group=stable.example.com')).toMatch(/^NAME +SHORTNAMES +APIVERSION +NAMESPACED +KIND\ncrontabs +ct +stable\.example\.com\/v1 +true +CronTab\n$/);
  });
  it.each(['ct', 'crontab', 'crontabs', 'crontabs.stable.example.com', 'crontabs.v1.stable.example.com', 'timers', 'ct/one'])('get %s shows the columns of the definition', (typed) => {
    expect(d.run(`kubectl get ${typed}`)).toMatch(/^NAME +SPEC +REPLICAS +AGE\none +\* \* \* \* \*\/5 +1 +\d+s\n$/);
  });
  it.each<[string, RegExp]>([
    ['kubectl get ct -o wide', /^NAME +SPEC +REPLICAS +AGE +IMAGE\none .* mine\n$/], ['kubectl get ct one -o jsonpath="{.spec.replicas} {.kind} {.apiVersion}"', /^1 CronTab stable\.example\.com\/v1$/], ['kubectl get ct -o name', /^crontab\.stable\.example\.com\/one\n$/],
    ['kubectl get all', /\ncrontab\.stable\.example\.com\/one +\* /], ['kubectl describe ct one', /API Version: +stable\.example\.com\/v1\nKind: +CronTab\n[\s\S]*Cron Spec: +\* \* \* \* \*\/5\n/],
    ['kubectl explain ct.spec', /GROUP: +stable\.example\.com\nKIND: +CronTab\n[\s\S]*What is wanted\.\n[\s\S]* {2}cronSpec\t<string> -required-\n {4}When, in five fields\.\n[\s\S]* {2}mode\t<string>\n {2}enum: fast, slow\n/], ['kubectl explain ct.spec.ports --recursive', /FIELD: ports <\[\]Object>\n[\s\S]* {2}port\t<IntOrString>\n/],
    ['kubectl explain ct.nothing', /^error: field "nothing" does not exist\n$/], ['kubectl auth can-i create crontabs', /^yes\n$/], ['kubectl get --raw /apis/stable.example.com/v1/crontabs', /^\{"kind":"CronTabList","apiVersion":"stable\.example\.com\/v1"/],
    ['kubectl create role r --verb=get --resource=ct --dry-run=client -o jsonpath="{.rules[0].apiGroups[0]} {.rules[0].resources[0]}"', /^stable\.example\.com crontabs$/],
  ])('%s', (line, prints) => expect(d.run(line)).toMatch(prints));

  it.each<[string, string, string]>([
    ['a field that it does not have', 's/image:/imag:/', 'unknown field "spec.imag"'], ['a pattern', 's/\\*\\/5/x/', 'spec.cronSpec: Invalid value: "* * * * x": spec.cronSpec in body should match '],
    ['a type', 's/image: mine/replicas: "3"/', 'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"'], ['a bound', 's/image: mine/replicas: 11/', 'spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10'],
    ['an enumeration', 's/image: mine/mode: idle/', 'spec.mode: Unsupported value: "idle": supported values: "fast", "slow"'], ['what must be there', 's/cronSpec: .*,/x-/; s/spec: .*/spec: {}/', 'The CronTab "one" is invalid: spec.cronSpec: Required value'],
  ])('is refused for %s', (_what, change, why) => expect(edited(change)).toContain(why));

  it('is scaled, patched, labelled; its status is written apart and counts no generation', () => {
    expect(d.run('kubectl scale ct one --replicas=4')).toBe('crontab.stable.example.com/one scaled\n');
    expect(d.run('kubectl scale ct one --replicas=40')).toContain('should be less than or equal to 10');
    expect(d.run(`kubectl patch ct one -p '{"spec":{"mode":"fast"}}'`)).toMatch(/^error: application\/strategic-merge-patch\+json is not supported by stable\.example\.com\/v1, Kind=CronTab: /);
    expect(d.run(`kubectl patch ct one --type=merge -p '{"spec":{"mode":"fast"},"status":{"replicas":9}}'`)).toContain(' patched');
    expect(d.run(`kubectl patch ct one --subresource=status --type=merge -p '{"status":{"replicas":4,"labelSelector":"a=b"}}'`)).toContain(' patched');
    expect(d.run('kubectl label ct one a=b')).toContain(' labeled');
    expect(d.run("kubectl get ct one -o jsonpath='{.metadata.generation} {.spec.replicas} {.status.replicas} {.metadata.labels.a}'")).toBe('3 4 4 b');
    expect(JSON.parse(d.run('kubectl get --raw /apis/stable.example.com/v1/namespaces/default/crontabs/one/scale'))).toMatchObject({ kind: 'Scale', spec: { replicas: 4 }, status: { replicas: 4, selector: 'a=b' } });
    d.run("sed -i 's/image: mine/image: yours/' ct.yaml");
    expect(d.run('kubectl apply -f ct.yaml')).toBe('crontab.stable.example.com/one configured\n');
    expect(d.run("kubectl get ct one -o jsonpath='{.spec.image} {.spec.replicas}'")).toBe('yours 4');
    expect(d.run('kubectl apply --server-side --force-conflicts -f ct.yaml')).toBe('crontab.stable.example.com/one serverside-applied\n');
  });

  it('waits for its finalizers when its definition goes, and takes nothing new', () => {
    d.run(`kubectl patch ct one --type=merge -p '{"metadata":{"finalizers":["example.com/wait"]}}'`);
    expect(d.run('kubectl delete crd crontabs.stable.example.com --wait=false')).toContain('deleted');
    expect(edited('s/one/two/')).toContain('create not allowed while custom resource definition is terminating');
    expect(d.run('kubectl get crd -o jsonpath="{.items[0].status.conditions[2].type}"')).toBe('Terminating');
    d.run(`kubectl patch ct one --type=merge -p '{"metadata":{"finalizers":null}}'`);
    d.wait(1);
    expect(d.run('kubectl get ct')).toBe('error: the server doesn\'t have a resource type "ct"\n');
    expect(d.run('kubectl get crd')).toBe('No resources found\n');
  });
});

const definition = (change: (spec: Json) => void = () => {}, name = 'things.example.com'): Json => {
  const spec: Json = {
    group: 'example.com', scope: 'Namespaced', names: { plural: 'things', kind: 'Thing' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } } } }],
  };
  change(spec);
  return { metadata: { name }, spec };
};
const schemaOf = (spec: Json): Json => spec.versions[0].schema.openAPIV3Schema;

describe('a definition', () => {
  it.each<[string, (spec: Json) => void, string]>([
    ['another name', (s) => (s.names.plural = 'thongs'), 'metadata.name: Invalid value: "things.example.com": must be spec.names.plural+"."+spec.group'], ['no such scope', (s) => (s.scope = 'World'), 'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"'],
    ['no schema', (s) => delete s.versions[0].schema, 'spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required'], ['a field without a type', (s) => (schemaOf(s).properties.spec = { properties: { a: {} }, type: 'object' }), 'spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields'],
    ['items without a type', (s) => (schemaOf(s).properties.spec = { type: 'array', items: {} }), 'spec.validation.openAPIV3Schema.properties[spec].items.type: Required value: must not be empty for specified array items'], ['a root that is no object', (s) => (schemaOf(s).type = 'string'), 'spec.validation.openAPIV3Schema.type: Invalid value: "string": must be object at the root'],
    ['no stored version', (s) => (s.versions[0].storage = false), 'must have exactly one version marked as storage version'], ['a column of no type', (s) => (s.versions[0].additionalPrinterColumns = [{ name: 'A', jsonPath: '.a', type: 'text' }]), 'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string'],
    ['a webhook', (s) => (s.conversion = { strategy: 'Webhook' }), 'not modelled: conversion by webhooks'],
  ])('with %s is refused', (_what, change, why) => expect(said(() => make(lab(0), 'CustomResourceDefinition', definition(change)))).toContain(why));

  it('of a protected group needs an approval', () => {
    const body = definition((s) => (s.group = 'x.k8s.io'), 'things.x.k8s.io');
    expect(said(() => make(lab(0), 'CustomResourceDefinition', body))).toContain('protected groups must have approval annotation "api-approved.kubernetes.io"');
  });

  it('whose name another has is not established until that one goes', () => {
    const cluster = lab(0);
    make(cluster, 'CustomResourceDefinition', definition());
    later(cluster, 1);
    make(cluster, 'CustomResourceDefinition', definition((s) => Object.assign(s.names, { plural: 'others', singular: 'thing' }), 'others.example.com'));
    later(cluster, 1);
    const conditions = (): string[] => ask(cluster, 'GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/others.example.com').body.status.conditions.map((c: Json) => `${c.type} ${c.status} ${c.reason} ${c.message}`);
    expect(conditions()).toEqual(['NamesAccepted False SingularConflict "thing" is already in use', 'Established False NotAccepted not all names are accepted']);
    ask(cluster, 'DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com');
    later(cluster, 1);
    expect(conditions()[1]).toBe('Established True InitialNamesAccepted the initial names have been accepted');
  });

  it('may be called as a kind of the server is: each keeps its own', () => {
    const cluster = lab(1);
    make(cluster, 'CustomResourceDefinition', definition((s) => Object.assign(s.names, { plural: 'pods', kind: 'Pod' }), 'pods.example.com'));
    later(cluster, 1);
    const at = '/apis/example.com/v1/namespaces/default/pods';
    expect(ask(cluster, 'POST', at, { apiVersion: 'example.com/v1', kind: 'Pod', metadata: { name: 'p' }, spec: { whale: 1 } }).status).toBe(201);
    make(cluster, 'Pod', { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
    later(cluster, 3);
    expect(ask(cluster, 'GET', `${at}/p`).body).toMatchObject({ apiVersion: 'example.com/v1', kind: 'Pod', spec: { whale: 1 } });
    expect(ask(cluster, 'GET', '/api/v1/namespaces/default/pods').body.items).toHaveLength(1);
    expect(ask(cluster, 'GET', '/api/v1/namespaces/default/pods/p').body.status.phase).toBe('Running');
  });

  it('with two versions shows an object in each, and a namespace takes its objects along', () => {
    const cluster = lab(0);
    make(cluster, 'CustomResourceDefinition', definition((s) => s.versions.push({ ...s.versions[0], name: 'v1beta1', storage: false, deprecated: true })));
    make(cluster, 'Namespace', { metadata: { name: 'n' } });
    later(cluster, 1);
    ask(cluster, 'POST', '/apis/example.com/v1beta1/namespaces/n/things', { apiVersion: 'example.com/v1beta1', kind: 'Thing', metadata: { name: 't', ownerReferences: [] }, spec: { a: 1 } });
    expect(['v1', 'v1beta1'].map((v) => ask(cluster, 'GET', `/apis/example.com/${v}/namespaces/n/things/t`).body.apiVersion)).toEqual(['example.com/v1', 'example.com/v1beta1']);
    expect(readCustoms(cluster).served.map((k) => k.version)).toEqual(['v1', 'v1beta1']);
    ask(cluster, 'DELETE', '/api/v1/namespaces/n');
    later(cluster, 2);
    expect(ask(cluster, 'GET', '/api/v1/namespaces/n').status).toBe(404);
    expect(ask(cluster, 'GET', '/apis/example.com/v1/things').body.items).toEqual([]);
  });

  it('makes kinds that own and are owned', () => {
    const cluster = lab(0);
    make(cluster, 'CustomResourceDefinition', definition());
    later(cluster, 1);
    const thing = ask(cluster, 'POST', '/apis/example.com/v1/namespaces/default/things', { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't' } }).body;
    make(cluster, 'ConfigMap', { metadata: { name: 'c', ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Thing', name: 't', uid: thing.metadata.uid }] } });
    later(cluster, 2);
    expect(ask(cluster, 'GET', '/api/v1/namespaces/default/configmaps/c').status).toBe(200);
    ask(cluster, 'DELETE', '/apis/example.com/v1/namespaces/default/things/t');
    later(cluster, 2);
    expect(ask(cluster, 'GET', '/api/v1/namespaces/default/configmaps/c').status).toBe(404);
  });
});

describe('a schema', () => {
  const faults = (value: Json, schema: Json): string[] => {
    const out: Fault[] = [];
    faultsOf(value, schema, 'spec', out);
    return out.map(faultText);
  };
  it.each<[string, Json, Json, string[]]>([
    ['a number that may be whole', 3, { type: 'number' }, []], ['null where it may be', null, { type: 'string', nullable: true }, []], ['null where not', null, { type: 'string' }, ['spec: Invalid value: "null": spec in body must be of type string: "null"']],
    ['an integer or a text', true, { 'x-kubernetes-int-or-string': true }, ['spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean"']], ['a length', 'abcd', { type: 'string', maxLength: 3 }, ['spec: Too long: may not be more than 3 bytes']], ['characters, not bytes', 'äöü', { type: 'string', maxLength: 3, minLength: 3 }, []],
    ['too few items', [], { type: 'array', minItems: 1 }, ['spec: Invalid value: []: spec in body should have at least 1 items']], ['too many', [1, 2], { type: 'array', maxItems: 1 }, ['spec: Too many: 2: must have at most 1 items']], ['an item', [1, 'a'], { type: 'array', items: { type: 'integer' } }, ['spec[1]: Invalid value: "string": spec[1] in body must be of type integer: "string"']],
    ['a set', ['a', 'a'], { type: 'array', 'x-kubernetes-list-type': 'set' }, ['spec[1]: Duplicate value: "a"']], ['a list with keys', [{ n: 'a' }, { n: 'a' }], { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['n'] }, ['spec[1]: Duplicate value: map[string]interface {}{"n":"a"}']],
    ['values of a map', { a: 'x' }, { type: 'object', additionalProperties: { type: 'integer' } }, ['spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"']], ['a time', 'now', { type: 'string', format: 'date-time' }, ['spec: Invalid value: "now": spec in body must be of type date-time: "now"']],
    ['one of several', { a: 1, b: 1 }, { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] }, ['spec: Invalid value: {"a":1,"b":1}: "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives']], ['any of several', {}, { type: 'object', anyOf: [{ required: ['a'] }] }, ['spec: Invalid value: {}: "spec" must validate at least one schema (anyOf)']],
    ['a multiple', 7, { type: 'integer', multipleOf: 5 }, ['spec: Invalid value: 7: spec in body should be a multiple of 5']], ['a bound that is excluded', 5, { type: 'integer', minimum: 5, exclusiveMinimum: true }, ['spec: Invalid value: 5: spec in body should be greater than 5']],
  ])('%s', (_what, value, schema, wanted) => expect(faults(value, schema)).toEqual(wanted));

  it('fills in, and prunes what it does not name, save where it is told to keep', () => {
    const schema: Json = { type: 'object', properties: { a: { type: 'object', default: {}, properties: { b: { type: 'integer', default: 2 } } }, free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }, list: { type: 'array', items: { type: 'object', properties: { n: { type: 'string', default: 'x' } } } } } };
    const value: Json = { free: { any: { thing: 1 } }, list: [{ m: 1 }], other: 1 };
    const gone: string[] = [];
    prune(value, schema, '', gone);
    fillIn(value, schema);
    expect([value, gone]).toEqual([{ a: { b: 2 }, free: { any: { thing: 1 } }, list: [{ n: 'x' }] }, ['list[0].m', 'other']]);
  });
  it.each<[string, Json[]]>([['.a.b', [1]], ['.list[1].n', ['y']], ['.list[*].n', ['x', 'y']], ['.list[?(@.n=="y")].v', [2]], ['.meta.a\\.b', [3]], ['.none.at.all', []], ['{.a}', []]])('a column at %s', (path, values) =>
    expect(valuesAt({ a: { b: 1 }, list: [{ n: 'x', v: 1 }, { n: 'y', v: 2 }], meta: { 'a.b': 3 } }, path)).toEqual(values));
  it('ranks versions', () => expect(['foo1', 'v1alpha1', 'v1', 'v10', 'v2beta1', 'v2', 'v1beta2'].sort(byVersion)).toEqual(['v10', 'v2', 'v1', 'v2beta1', 'v1beta2', 'v1alpha1', 'foo1']));
});
