/** docker compose on a machine with dockerd: what it says of files, and what comes of them. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Lab, lab, type Result, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab({ images: ['busybox', 'nginx', 'redis'] });
});

const withFile = (yaml: string, command: string, dir = '/root/one'): Result => sh(m, `mkdir -p ${dir}; cd ${dir}; cat > compose.yaml <<'XX'\n${yaml}\nXX\n${command}`);

describe('what is wrong with a file', () => {
  const table: [string, string, string, number?][] = [
    ['ports that are no list', 'services: {web: {image: nginx, ports: "80"}}', 'validating /root/one/compose.yaml: services.web.ports must be a list'],
    ['an unknown key', 'services: {web: {image: nginx, foo: 1}}', 'validating /root/one/compose.yaml: services.web Additional property foo is not allowed'],
    ['an unknown key at the top', 'servces: {}', 'validating /root/one/compose.yaml: (root) Additional property servces is not allowed'],
    ['a wrong type deep down', 'services: {web: {image: a, environment: {A: [1]}}}', 'validating /root/one/compose.yaml: services.web.environment.A must be a string, number, boolean or null'],
    ['no image', 'services: {web: {command: x}}', 'service "web" has neither an image nor a build context specified: invalid compose project'],
    ['an undefined dependency', 'services: {web: {image: a, depends_on: [db]}}', 'service "web" depends on undefined service "db": invalid compose project'],
    ['a cycle', 'services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}', 'dependency cycle detected: a -> b -> a'],
    ['an undefined network', 'services: {web: {image: a, networks: [n]}}', 'service "web" refers to undefined network n: invalid compose project'],
    ['an undefined volume', 'services: {web: {image: a, volumes: ["vol:/x"]}}', 'service "web" refers to undefined volume vol: invalid compose project'],
    ['a colon too many', 'services:\n  web:\n    image: a: b', 'yaml: line 3: mapping values are not allowed in this context'],
    ['a wrong indentation', 'services:\n  web:\n    image: a\n   ports: []', 'yaml: line 1: did not find expected key'],
    ['a tab', 'services:\n\tweb: x', 'yaml: line 2: found character that cannot start any token'],
    ['an open variable', 'services: {web: {image: "a${"}}', 'invalid interpolation format for services.web.image.\nYou may need to escape any $ with another $.\na${'],
    ['a variable that must be there', 'services: {web: {image: "${X:?set it}"}}', 'error while interpolating services.web.image: required variable X is missing a value: set it'],
    ['a boolean that is none', 'services: {web: {image: a, privileged: "maybe"}}', 'error while interpolating services.web.privileged: failed to cast to expected type: invalid boolean: maybe'],
    ['a port that is none', 'services: {web: {image: a, ports: [abc]}}', 'Invalid containerPort: abc'],
    ['a duration without a unit', 'services: {web: {image: a, healthcheck: {interval: "5"}}}', 'decoding failed due to the following error(s):\n\nerror decoding \'services[web].healthcheck.interval\': time: missing unit in duration "5"'],
    ['nothing', '', 'empty compose file'],
  ];
  for (const [name, yaml, message, status = 15] of table) {
    it(name, () => expect(withFile(yaml, 'docker compose config')).toEqual({ stdout: '', stderr: `${message}\n`, exit: status }));
  }
  it('no file', () => expect(sh(m, 'mkdir -p /e; cd /e; docker compose ps')).toEqual({ stdout: '', stderr: 'no configuration file provided: not found\n', exit: 14 }));
  it('an unknown flag', () => expect(withFile('services: {w: {image: a}}', 'docker compose up --foo')).toEqual({ stdout: '', stderr: 'unknown flag: --foo\n', exit: 16 }));
});

it('config: short forms become long, variables and anchors are filled in', () => {
  const yaml = `x-env: &env {B: two}
services:
  web:
    image: nginx:\${TAG:-1.29}
    environment: {<<: *env, A: "$\${x}", N: 1, UNSET: null}
    ports: ["127.0.0.1:8080-8081:80-81/udp", "9000"]
    volumes: ["data:/d", "./x:/y:ro"]
    mem_limit: 64m
    profiles: []
    env_file: [a.env]
    command: sh -c "echo 'a b'"
    healthcheck: {test: "true", interval: 90s}
    deploy: {resources: {limits: {cpus: "0.5"}}}
volumes: {data: {}, unused: {}}`;
  const r = withFile(yaml, 'printf "E=\\"q r\\"\\nB=one # no\\n" > a.env; echo TAG=9 > .env; docker compose config');
  expect(r.stderr).toBe('');
  expect(r.stdout).toBe(`name: one
services:
  web:
    command:
      - sh
      - -c
      - echo 'a b'
    deploy:
      resources:
        limits:
          cpus: 0.5
    environment:
      A: $\${x}
      B: two
      E: q r
      "N": "1"
      UNSET: null
    healthcheck:
      test:
        - CMD-SHELL
        - "true"
      interval: 1m30s
    image: nginx:9
    mem_limit: "67108864"
    networks:
      default: null
    ports:
      - mode: ingress
        host_ip: 127.0.0.1
        target: 80
        published: "8080"
        protocol: udp
      - mode: ingress
        host_ip: 127.0.0.1
        target: 81
        published: "8081"
        protocol: udp
      - mode: ingress
        target: 9000
        protocol: tcp
    volumes:
      - type: volume
        source: data
        target: /d
        volume: {}
      - type: bind
        source: /root/one/x
        target: /y
        read_only: true
        bind:
          create_host_path: true
networks:
  default:
    name: one_default
volumes:
  data:
    name: one_data
x-env:
  B: two
`);
});

const SHOP = `services:
  web:
    image: nginx
    ports: ["8080:80"]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: redis
    volumes: ["data:/data"]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s}
volumes: {data: }`;

describe('a project', () => {
  it('comes up in the order of its dependencies', () => {
    const r = withFile(SHOP, 'docker compose up -d', '/root/shop');
    expect(r).toEqual({ stdout: '', exit: 0, stderr: [
      'Network shop_default  Creating', 'Network shop_default  Created', 'Volume "shop_data"  Creating', 'Volume "shop_data"  Created', 'Container shop-db-1  Creating', 'Container shop-db-1  Created', 'Container shop-web-1  Creating',
      'Container shop-web-1  Created', 'Container shop-db-1  Starting', 'Container shop-db-1  Started', 'Container shop-db-1  Waiting', 'Container shop-db-1  Healthy', 'Container shop-web-1  Starting', 'Container shop-web-1  Started',
    ].map((l) => ` ${l}\n`).join('') });
    expect(sh(m, 'curl -s localhost:8080 | head -1; cd /root/shop; docker compose exec -T web ping -c1 db | head -1; docker compose port web 80').stdout).toBe('<!DOCTYPE html>\nPING db (172.18.0.2): 56 data bytes\n0.0.0.0:8080\n');
  });
  it('is left alone when nothing changed, made again when something did', () => {
    expect(sh(m, 'cd /root/shop; docker compose up -d').stderr).toContain(' Container shop-web-1  Running\n');
    const r = sh(m, 'cd /root/shop; sed -i "s/8080:80/8081:80/" compose.yaml; docker compose up -d; docker ps --format "{{.Names}} {{.Ports}}"');
    expect(r.stderr).toContain(' Container shop-web-1  Recreate\n Container shop-web-1  Recreated\n');
    expect(r.stdout).toContain('shop-web-1 0.0.0.0:8081->80/tcp');
  });
  it('ps, ls, top', () => {
    const r = sh(m, 'cd /root/shop; docker compose ps --format "{{.Name}} {{.Service}} {{.State}} {{.Health}}"; docker compose ls; docker compose ps --format json | head -1');
    const [db, web, head, row, json] = r.stdout.split('\n');
    expect([db, web, head, row]).toEqual(['shop-db-1 db running healthy', 'shop-web-1 web running ', 'NAME                STATUS              CONFIG FILES', 'shop                running(2)          /root/shop/compose.yaml']);
    expect(JSON.parse(json!)).toMatchObject({ Name: 'shop-db-1', Service: 'db', Project: 'shop', Health: 'healthy', ExitCode: 0, Publishers: [{ URL: '', TargetPort: 6379, PublishedPort: 0, Protocol: 'tcp' }] });
  });
  it('goes down, its volumes with it', () => {
    const r = sh(m, 'cd /root/shop; docker compose down -v; docker ps -aq; docker volume ls -q; docker network ls -q --filter name=shop');
    expect(r.stdout).toBe('');
    expect(r.stderr).toBe(['Container shop-web-1  Stopping', 'Container shop-web-1  Stopped', 'Container shop-web-1  Removing', 'Container shop-web-1  Removed', 'Container shop-db-1  Stopping', 'Container shop-db-1  Stopped', 'Container shop-db-1  Removing',
      'Container shop-db-1  Removed', 'Network shop_default  Removing', 'Network shop_default  Removed', 'Volume shop_data  Removing', 'Volume shop_data  Removed'].map((l) => ` ${l}\n`).join(''));
  });
});

describe('conditions', () => {
  const with2 = (first: string, condition: string): Result => withFile(`services:\n  a: {image: busybox, ${first}}\n  b: {image: busybox, command: echo b ran, depends_on: {a: {condition: ${condition}}}}`, 'docker compose up -d; s=$?; docker compose logs; docker compose down 2>/dev/null; exit $s', '/root/cond');
  it('completed', () => expect(with2('command: "true"', 'service_completed_successfully').stdout).toBe('\x1b[2Kb-1  | b ran\n'));
  it('completed, but not well', () => {
    const r = with2('command: sh -c "exit 4"', 'service_completed_successfully');
    expect(r.exit).toBe(1);
    expect(r.stderr).toMatch(/ Container cond-a-1 {2}service "a" didn't complete successfully: exit 4\nservice "a" didn't complete successfully: exit 4\n$/);
  });
  it('unhealthy', () => {
    const r = with2('command: sleep 99, stop_grace_period: 0s, healthcheck: {test: "false", interval: 1s, retries: 2}', 'service_healthy');
    expect(r.exit).toBe(1);
    expect(r.stderr).toMatch(/ Container cond-a-1 {2}Error\ndependency failed to start: container cond-a-1 is unhealthy\n$/);
  });
  it('no check', () => expect(with2('command: sleep 99, stop_grace_period: 0s', 'service_healthy').stderr).toMatch(/dependency failed to start: container cond-a-1 has no healthcheck configured\n$/));
});

it('attached: lines behind names, ends told, aborted on the first', () => {
  const r = withFile('services:\n  long: {image: busybox, command: sleep 99, stop_grace_period: 0s}\n  short: {image: busybox, command: sh -c "echo one; sleep 1; exit 3"}', 'docker compose up --exit-code-from short; s=$?; docker compose down 2>/dev/null; exit $s', '/root/att');
  expect(r.stdout).toBe('Attaching to long-1, short-1\n\x1b[2Kshort-1  | one\nshort-1 exited with code 3\n');
  expect(r.stderr).toContain('Aborting on container exit...\n');
  expect(r.exit).toBe(3);
});

it('run: one command, its own container, removed', () => {
  const r = withFile('services:\n  a: {image: busybox, command: sleep 9, environment: {X: 1}}', 'echo in | docker compose run --rm -T -e Y=2 a sh -c \'cat; echo $X$Y; exit 5\'; echo $?; docker ps -aq; docker compose down 2>/dev/null', '/root/runs');
  expect(r.stdout).toBe('in\n12\n5\n');
});

it('replicas, limits, secrets and a build are real', () => {
  const yaml = `services:
  app:
    build: {context: ., args: {V: "7"}, target: two}
    deploy: {replicas: 2, resources: {limits: {memory: 64M, cpus: "0.5"}}}
    secrets: [tok]
    read_only: true
secrets: {tok: {file: ./tok}}`;
  const r = withFile(yaml, `echo hush > tok; printf 'FROM busybox AS one\\nARG V\\nRUN echo v$V > /v\\nFROM one AS two\\nCMD cat /v /run/secrets/tok; touch /x; sleep 99\\nFROM one\\n' > Dockerfile
docker compose up -d > /dev/null; docker compose logs app --no-log-prefix | grep -v touch | tr -d '\\033' | sed 's/^.2K//' | sort; docker inspect app-app-2 --format '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.ReadonlyRootfs}}'; docker compose down -t 0 --rmi local 2>&1 | tail -2; docker images -q app-app`, '/root/app');
  expect(r.stdout).toBe('hush\nhush\nv7\nv7\n67108864 500000000 true\n Image app-app:latest  Removing\n Image app-app:latest  Removed\n');
});

it('what docker finds no plugin for is no command of its', () => {
  expect(sh(m, 'chmod -x /usr/libexec/docker/cli-plugins/docker-compose; docker compose up; chmod +x /usr/libexec/docker/cli-plugins/docker-compose; docker compose version')).toEqual({
    stdout: 'Docker Compose version 2.26.1-4\n', stderr: "docker: 'compose' is not a docker command.\nSee 'docker --help'\n", exit: 0,
  });
});
