/** kubectl's commands over the API's sockets, on hollow nodes: what each prints, where, and its status. */
import { describe, expect, it } from 'vitest';
import { type Bench, bench, pass, run, words } from '../../recorded/kubectl/door.ts';

/** Runs lines in order; the last one's result. */
function kubectl(b: Bench, ...lines: string[]): { stdout: string; stderr: string; exit: number } {
  let last = { stdout: '', stderr: '', exit: -1 };
  for (const line of lines) {
    last = run(b, ['kubectl', ...words(line)]);
    pass(b, 2);
  }
  return last;
}

const settled = (): Bench => {
  const b = bench({ hollow: 2 });
  pass(b, 5);
  return b;
};

describe('create', () => {
  it.each([
    ['create role r --verb=get,list --resource=pods,deploy --dry-run=client -o yaml', 'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  creationTimestamp: null\n  name: r\nrules:\n- apiGroups:\n  - ""\n  resources:\n  - pods\n  verbs:\n  - get\n  - list\n- apiGroups:\n  - apps\n  resources:\n  - deployments\n  verbs:\n  - get\n  - list\n'],
    ['create quota q --hard=cpu=1,pods=2 --scopes=BestEffort --dry-run=client -o yaml', 'apiVersion: v1\nkind: ResourceQuota\nmetadata:\n  creationTimestamp: null\n  name: q\nspec:\n  hard:\n    cpu: "1"\n    pods: "2"\n  scopes:\n  - BestEffort\nstatus: {}\n'],
    ['create ingress i --rule=a.b/x*=s:80,tls=t --class=c --dry-run=client -o jsonpath={.spec}', '{"ingressClassName":"c","rules":[{"host":"a.b","http":{"paths":[{"backend":{"service":{"name":"s","port":{"number":80}}},"path":"/x","pathType":"Prefix"}]}}],"tls":[{"hosts":["a.b"],"secretName":"t"}]}'],
    ['create service nodeport s --tcp=80:8080 --node-port=30001 --dry-run=client -o jsonpath={.spec.ports[0]}', '{"name":"80-8080","nodePort":30001,"port":80,"protocol":"TCP","targetPort":8080}'],
    ['create priorityclass p --value=10 --dry-run=client -o name', 'priorityclass.scheduling.k8s.io/p\n'],
  ])('%s', (line, stdout) => {
    expect(kubectl(settled(), line)).toEqual({ stdout, stderr: '', exit: 0 });
  });

  it.each([
    ['create service bogus x', "error: unknown command \"bogus x\"\nSee 'kubectl create service -h' for help and examples\n"],
    ['create pdb p --min-available=1', 'error: a selector must be specified\n'],
    ['create role r --verb=get', 'error: at least one resource must be specified\n'],
    ['create rolebinding b --user=u', 'error: exactly one of clusterrole or role must be specified\n'],
    ['create configmap c --from-literal=a=1 --from-literal=a=2', 'error: cannot add key "a", another key by that name already exists in Data for ConfigMap "c"\n'],
    ['create role --bogus', "Error: unknown flag: --bogus\nSee 'kubectl create role --help' for usage.\n"],
  ])('refuses %s', (line, stderr) => {
    expect(kubectl(settled(), line)).toEqual({ stdout: '', stderr, exit: 1 });
  });
});

describe('get', () => {
  const web = ['create deployment web --image=nginx --replicas=2', 'create deployment api --image=redis'];
  it.each([
    ["get deploy -o go-template='{{range .items}}{{.metadata.name}}:{{len .spec.template.spec.containers}} {{end}}'", 'api:1 web:2 '.replace('2', '1')],
    ["get deploy web -o go-template='{{.metadata.nope}} {{base64decode \"YQ==\"}}'", '<no value> a'],
    ['get deploy -o jsonpath-as-json={.items[*].metadata.name}', '[\n    "api",\n    "web"\n]\n'],
    ['get deploy --sort-by=.spec.replicas -o name', 'deployment.apps/api\ndeployment.apps/web\n'],
    ['get deploy --sort-by={.metadata.name} --no-headers -o custom-columns=N:.metadata.name,R:.spec.replicas', 'api   1\nweb   2\n'],
    ['get deploy web --server-print=false --no-headers -o name', 'deployment.apps/web\n'],
  ])('%s', (line, stdout) => {
    expect(kubectl(settled(), ...web, line)).toMatchObject({ stdout, exit: 0 });
  });

  it('orders texts as people count, and quantities by size', () => {
    const b = settled();
    expect(kubectl(b, 'create cm a2', 'create cm a10', 'create cm a1', 'get cm --sort-by=.metadata.name -o name').stdout).toBe('configmap/a1\nconfigmap/a2\nconfigmap/a10\nconfigmap/kube-root-ca.crt\n');
  });
});

describe('what changes objects', () => {
  it('scale, set, patch, label, rollout', () => {
    const b = settled();
    kubectl(b, 'create deployment web --image=nginx');
    expect(kubectl(b, 'scale deploy web --replicas=3 --current-replicas=2').stderr).toBe('error: Expected replicas to be 2, was 1\n');
    expect(kubectl(b, 'set image deploy/web nginx=nginx:1.25').stdout).toBe('deployment.apps/web image updated\n');
    expect(kubectl(b, 'set env deploy/web A=1 B=2', 'set env deploy/web --list').stdout).toBe('# deployments web, container nginx\nA=1\nB=2\n');
    expect(kubectl(b, 'set resources deploy/web --limits=cpu=1 --requests=cpu=100m').stdout).toBe('deployment.apps/web resource requirements updated\n');
    expect(kubectl(b, 'set serviceaccount deploy/web sa', 'get deploy web -o jsonpath={.spec.template.spec.serviceAccountName}').stdout).toBe('sa');
    expect(kubectl(b, 'rollout history deploy/web --revision=1').stdout).toContain('deployment.apps/web with revision #1\nPod Template:\n');
    expect(kubectl(b, 'rollout pause deploy/web', 'rollout pause deploy/web').stderr).toContain('is already paused');
    expect(kubectl(b, 'rollout history pods/x').stderr).toBe('error: no history viewer has been implemented for "Pod"\n');
    expect(kubectl(b, 'autoscale deploy web --max=3 --min=5').stderr).toBe('error: --max=MAXPODS must be larger or equal to --min=MINPODS, max: 3, min: 5\n');
  });

  it('apply: keeps what was applied, prunes what was dropped', () => {
    const b = settled();
    const map = (name: string, extra = ''): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {a: b}}\ndata: {k: v${extra}}\n`;
    b.files.set('/root/a.yaml', `${map('one')}---\n${map('two')}`).set('/root/b.yaml', map('one', 'w'));
    expect(kubectl(b, 'apply -f a.yaml').stdout).toBe('configmap/one created\nconfigmap/two created\n');
    expect(kubectl(b, 'apply -f a.yaml').stdout).toBe('configmap/one unchanged\nconfigmap/two unchanged\n');
    expect(kubectl(b, 'apply -f b.yaml --prune -l a=b').stdout).toBe('configmap/one configured\nconfigmap/two pruned\n');
    expect(kubectl(b, 'apply view-last-applied cm one -o json').stdout).toContain('"k": "vw"');
    expect(kubectl(b, 'apply -f b.yaml --prune').stderr).toMatch(/^error: all resources selected for prune/);
    expect(kubectl(b, 'apply -f b.yaml -n other').stderr).not.toBe('');
  });

  it('drain: who must stay, who may go', () => {
    const b = settled();
    kubectl(b, 'run bare --image=nginx', 'cordon hollow-1');
    expect(kubectl(b, 'drain hollow-2', 'drain hollow-1').stderr + kubectl(b, 'drain hollow-2').stderr).toContain('cannot delete Pods that declare no controller (use --force to override): default/bare');
    const forced = [kubectl(b, 'drain hollow-1 --force'), kubectl(b, 'drain hollow-2 --force')].map((r) => r.stdout + r.stderr).join('');
    expect(forced).toContain('Warning: deleting Pods that declare no controller: default/bare\n');
    expect(forced).toContain('evicting pod default/bare\n');
    expect(forced).toContain('pod/bare evicted\n');
  });

  it('delete: what its flags refuse, and what it asks', () => {
    const b = settled();
    kubectl(b, 'create cm one');
    expect(kubectl(b, 'delete cm one -l a=b').stderr).toBe('error: name cannot be provided when a selector is specified\n');
    expect(kubectl(b, 'delete cm one --now --grace-period=2').stderr).toBe('error: --now and --grace-period cannot be specified together\n');
    expect(run(b, ['kubectl', 'delete', 'cm', 'one', '-i'], 'n\n').stdout).toBe('You are about to delete the following 1 resource(s):\nconfigmap/one\nDo you want to continue? (y/n): deletion is cancelled\n');
    expect(kubectl(b, 'delete cm one -o name').stdout).toBe('configmap/one\n');
  });
});

describe('wait', () => {
  it.each([
    ['wait --for=jsonpath={.spec.replicas}=1 deploy/web', { stdout: 'deployment.apps/web condition met\n', exit: 0 }],
    ['wait --for=condition=Available=false deploy/web --timeout=1s', { stderr: 'error: timed out waiting for the condition on deployments/web\n', exit: 1 }],
    ['wait --for=delete deploy/nosuch', { stdout: '', stderr: '', exit: 0 }],
    ['wait --for=create deploy/nosuch --timeout=1s', { stderr: 'error: timed out waiting for the condition on deployments/nosuch\n', exit: 1 }],
    ['wait --for=bogus deploy/web', { stderr: 'error: unrecognized condition: "bogus"\n', exit: 1 }],
    ['wait --for=delete deploy/web --timeout=10', { stderr: "Error: invalid argument \"10\" for \"--timeout\" flag: time: missing unit in duration \"10\"\nSee 'kubectl wait --help' for usage.\n", exit: 1 }],
  ])('%s', (line, result) => {
    expect(kubectl(settled(), 'create deployment web --image=nginx', line)).toMatchObject(result);
  });
});

it('kustomize: names carry the hash that the real one gives', () => {
  const b = settled();
  b.files.set('/root/k/kustomization.yaml', 'configMapGenerator:\n- name: example-configmap-1\n  files: [application.properties]\n- name: example-configmap-2\n  literals: [FOO=Bar]\nsecretGenerator:\n- name: example-secret-1\n  files: [password.txt]\n')
    .set('/root/k/application.properties', 'FOO=Bar\n').set('/root/k/password.txt', 'username=admin\npassword=secret\n');
  const names = [...kubectl(b, 'kustomize k').stdout.matchAll(/^ {2}name: (.*)$/gm)].map((m) => m[1]);
  expect(names).toEqual(['example-configmap-1-8mbdf7882g', 'example-configmap-2-g2hdhfc6tk', 'example-secret-1-t2kt65hgtb']);
});

it('config: a file of its own', () => {
  const b = settled();
  expect(kubectl(b, 'config set-context dev --cluster=nestbox --user=admin --namespace=dev', 'config use-context dev', 'config view --minify -o jsonpath={.contexts[0].context.namespace}').stdout).toBe('dev');
  expect(kubectl(b, 'config rename-context dev d2', 'config current-context').stdout).toBe('d2\n');
  expect(kubectl(b, 'config set-credentials bob --token=x', 'config view').stdout).toContain('token: REDACTED');
  expect(kubectl(b, 'config delete-context nosuch').stderr).toBe('error: cannot delete context nosuch, not in /root/.kube/config\n');
  expect(kubectl(b, 'config bogus').stderr).toBe('error: unknown command "bogus"\nSee \'kubectl config -h\' for help and examples\n');
});

it('explain: fields in order, their types, what is required', () => {
  const { stdout } = kubectl(settled(), 'explain pod.spec');
  expect(stdout.startsWith('KIND:       Pod\nVERSION:    v1\n\nFIELD: spec <PodSpec>\n\nDESCRIPTION:\n')).toBe(true);
  expect(stdout).toContain('  containers\t<[]Container> -required-\n');
  expect(kubectl(settled(), 'explain nosuch').stderr).toBe('the server doesn\'t have a resource type "nosuch"\n');
  expect(kubectl(settled(), 'explain pod.spec.nope').stderr).toBe('error: field "nope" does not exist\n');
});
