/** docker build: what Dockerfiles mean, what is wrong with them, what is taken from the cache, what comes to lie where. */
import { beforeAll, describe, expect, it } from 'vitest';
import { isIgnored, readIgnore } from '../../../src/engine/userland/containers/docker/cli/context.ts';
import { expand } from '../../../src/engine/userland/containers/docker/daemon/expand.ts';
import { type Lab, lab, type Result, sh } from './docker-lab.ts';

let m: Lab;

beforeAll(() => {
  m = lab({ images: ['busybox'] });
  sh(m, 'mkdir -p /c/sub/deep /c/node_modules/x; cd /c; echo a > a.txt; echo b > b.txt; echo k > sub/keep.md; echo d > sub/deep/d; echo n > node_modules/x/y; tar cf p.tar sub; printf "node_modules\\n*.key\\n" > .dockerignore; echo s > my.key');
});

/** Builds a Dockerfile in the context; `run` is a command in the image. */
function build(dockerfile: string, run = '', flags = ''): Result {
  return sh(m, `cd /c; cat > /D <<'XXX'\n${dockerfile}\nXXX\ndocker build -t t -f /D ${flags} . || exit${run ? `\ndocker run --rm t ${run}` : ''}`);
}

const lastLine = (r: Result): string => r.stderr.trimEnd().split('\n').at(-1)!;

describe('what is wrong with a Dockerfile', () => {
  const table: [string, string][] = [
    ['FROM busybox\nRUUN x', 'dockerfile parse error on line 2: unknown instruction: RUUN (did you mean RUN?)'],
    ['FROM busybox\nENV A', 'ENV must have two arguments'],
    ['FROM busybox\nENV A=1 B', `Syntax error - can't find = in "B". Must be of the form: name=value`],
    ['FROM busybox\nCOPY --form=x a b', 'dockerfile parse error on line 2: unknown flag: form (did you mean from?)'],
    ['FROM busybox\nCOPY a.txt', 'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined'],
    ['FROM a b', 'dockerfile parse error on line 1: FROM requires either one or three arguments'],
    ['FROM busybox\nHEALTHCHECK FOO', 'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)'],
    ['FROM busybox\nONBUILD FROM x', "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger"],
    ['FROM busybox\nSHELL sh', 'dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form'],
    ['FROM busybox\nRUN <<EOF\nx', 'dockerfile parse error on line 2: unterminated heredoc'],
    ['FROM busybox\nEXPOSE abc', 'Invalid containerPort: abc'],
    ['FROM ${X}', 'base name (${X}) should not be blank'],
    ['FROM busybox\nWORKDIR ${X', `failed to process "\${X": syntax error: missing '}'`],
    ['FROM busybox\nENV A=${B:?no b}', 'failed to process "${B:?no b}": B: no b'],
    ['FROM Busybox', 'failed to parse stage name "Busybox": invalid reference format: repository name (library/Busybox) must be lowercase'],
    ['FROM scratch\nRUN x', 'process "/bin/sh -c x" did not complete successfully: exit code: 1'],
    ['FROM busybox\nRUN exit 3', 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'],
    ['# nothing', 'the Dockerfile cannot be empty'],
  ];
  for (const [dockerfile, message] of table) it(message, () => expect([lastLine(build(dockerfile)), build(dockerfile).exit]).toEqual([`ERROR: failed to solve: ${message}`, 1]));
  it('shows where', () => expect(build('FROM busybox\n\nRUUN x').stderr).toContain('D:3\n--------------------\n   1 |     FROM busybox\n   2 |     \n   3 | >>> RUUN x\n   4 |     \n--------------------\nERROR'));
  it('tells what cannot be installed', () => expect(build('FROM busybox\nRUN apk add curl').stderr).toMatch(/apk: not found\n#5 [\d.]+ not modelled: apk/));
});

describe('what instructions do', () => {
  it('stages: only those needed; from a stage, an index, an image', () => {
    const r = build('FROM busybox AS one\nRUN echo 1 > /one\nFROM busybox AS never\nRUN exit 9\nFROM scratch\nCOPY --from=one /one /a\nCOPY --from=0 /one /b\nCOPY --from=busybox /bin /bin', 'cat /a /b');
    expect(r.stdout).toBe('1\n1\n');
    expect(r.stderr).toContain('[one 2/2] RUN echo 1 > /one');
    expect(r.stderr).toContain('[stage-2 1/3] COPY --from=one /one /a');
    expect(r.stderr).not.toContain('exit 9');
  });
  it('ARG: before FROM, in a stage, given, overridden by ENV', () => {
    const r = build('ARG V=1\nARG IMG=busybox\nFROM $IMG\nARG V\nARG W=w$V\nENV E=${W}-${NOPE:-d}${V:+set}\nRUN echo $V $W $E > /o', 'cat /o', '--build-arg V=2');
    expect(r.stdout).toBe('2 w2 w2-dset\n');
  });
  it('heredocs, in RUN and COPY, filled in and not', () => {
    const r = build('FROM busybox\nENV A=x\nRUN <<EOF\nset -e\necho one > /o\nEOF\nCOPY <<"F" <<G /d/\np $A\nF\nf $A\nG\nRUN cat <<H >> /o\nin $A\nH', 'cat /o /d/F /d/G');
    expect(r.stdout).toBe('one\nin x\np $A\nf x\n');
    expect(r.stderr).toContain('RUN <<EOF (set -e...)');
  });
  it('COPY: into what is there, over links, by pattern, with owner and mode; ADD unpacks', () => {
    const r = build('FROM busybox\nRUN mkdir /real && ln -s /real /link\nCOPY a.txt /link\nCOPY --chown=www-data --chmod=600 *.txt /two/\nCOPY sub /three\nADD p.tar /four\nWORKDIR /tmp\nCOPY b.txt .', 'sh -c "cat /real/a.txt; ls -ln /two | tail -2; find /three /four -type f | sort; ls -ld /tmp; cat b.txt"');
    expect(r.stdout).toMatch(/^a\n-rw------- +1 33 +33 +2 .* a.txt\n-rw------- +1 33 +33 +2 .* b.txt\n\/four\/sub\/deep\/d\n\/four\/sub\/keep.md\n\/three\/deep\/d\n\/three\/keep.md\ndrwxrwxrwt .* \/tmp\nb\n$/);
  });
  it('mounts leave nothing behind; a cache stays', () => {
    const file = 'FROM busybox\nRUN --mount=type=cache,target=/x/cache --mount=type=secret,id=s --mount=type=bind,source=a.txt,target=/m/a echo $(ls /x/cache | wc -l) $(cat /run/secrets/s /m/a) > /o && touch /x/cache/f';
    expect(build(`${file}\nRUN ls -d /x /m /run/secrets || true`, 'cat /o', '--secret id=s,src=my.key').stdout).toBe('0 s a\n');
    expect(build(`${file} && true`, 'sh -c "cat /o; ls -d /x /m 2>&1"', '--secret id=s,src=my.key').stdout).toBe('1 s a\nls: /x: No such file or directory\nls: /m: No such file or directory\n');
  });
  it('configuration', () => {
    build('FROM busybox\nLABEL a=1 "b c"="d e"\nEXPOSE 80 90-91/udp\nVOLUME ["/d"]\nUSER 1:2\nSTOPSIGNAL SIGINT\nHEALTHCHECK --interval=5s --retries=2 CMD ["true"]\nSHELL ["/bin/sh","-ec"]\nENTRYPOINT echo x\nCMD ["y"]\nONBUILD RUN z', '', '--label built=yes');
    const c = JSON.parse(sh(m, "docker inspect t --format '{{json .Config}}'").stdout) as Record<string, unknown>;
    expect(c).toMatchObject({
      Labels: { a: '1', 'b c': 'd e', built: 'yes' }, ExposedPorts: { '80/tcp': {}, '90/udp': {}, '91/udp': {} }, Volumes: { '/d': {} }, User: '1:2', StopSignal: 'SIGINT', Healthcheck: { Test: ['CMD', 'true'], Interval: 5e9, Retries: 2 },
      Entrypoint: ['/bin/sh', '-ec', 'echo x'], Cmd: ['y'], OnBuild: ['RUN z'],
    });
  });
  it('ONBUILD of the image below', () => {
    build('FROM busybox\nONBUILD COPY a.txt /got\nONBUILD RUN cat /got /got > /twice');
    expect(sh(m, 'cd /c; docker tag t base; printf "FROM base\\n" > /D2; docker build -q -f /D2 -t child . > /dev/null; docker run --rm child cat /twice; docker inspect child --format "{{.Config.OnBuild}}"').stdout).toBe('a\na\n[]\n');
  });
  it('output as it comes, with its time', () => {
    const r = build('FROM busybox\nRUN echo first; sleep 2; echo second');
    expect(r.stderr).toMatch(/#5 0\.\d{3} first\n#5 2\.\d{3} second\n#5 DONE 2\.\ds\n/);
  });
});

describe('the cache', () => {
  const cached = (r: Result): number => r.stderr.match(/ CACHED$/gm)?.length ?? 0;
  it('RUN by its text, COPY by content, not by times', () => {
    const file = 'FROM busybox\nCOPY a.txt /cc\nRUN cat /cc > /dd';
    expect(cached(build(file))).toBe(1);
    expect(cached(build(file))).toBe(2);
    sh(m, 'cd /c; touch a.txt');
    expect(cached(build(file))).toBe(2);
    sh(m, 'cd /c; echo changed >> a.txt');
    expect(cached(build(file))).toBe(1);
    expect(cached(build(file, '', '--no-cache'))).toBe(1);
  });
  it('goes with builder prune', () => {
    const file = 'FROM busybox\nRUN echo pruned > /p';
    build(file);
    sh(m, 'docker rmi t; docker builder prune -af');
    expect(cached(build(file))).toBe(0);
  });
});

it('what a build needs on its way is no image, in memory or on disk', () => {
  build('FROM busybox\nRUN echo way > /w\nRUN rm /w\nCMD ["true"]');
  const [listed, stored] = sh(m, 'docker images -aq --no-trunc | sort -u | cut -d: -f2; echo --; ls /var/lib/docker/image/overlay2/imagedb/content/sha256').stdout.split('--\n');
  expect(stored).toBe(listed);
  expect(build('FROM busybox\nRUN echo way > /w\nRUN rm /w\nCMD ["true"]', 'ls /w').stderr).toContain('ls: /w: No such file or directory');
});

describe('the context', () => {
  it('from standard input: a Dockerfile, a tar', () => {
    expect(sh(m, "printf 'FROM busybox\\nRUN echo in > /in\\n' | docker build -q -t i - > /dev/null; docker run --rm i cat /in").stdout).toBe('in\n');
    expect(sh(m, "cd /c; printf 'FROM busybox\\nCOPY a.txt b.txt /\\n' > Dockerfile; tar c Dockerfile a.txt b.txt | gzip | docker build -q -t j - > /dev/null; docker run --rm j cat /b.txt; rm Dockerfile").stdout).toBe('b\n');
  });
  it('without what .dockerignore names', () => {
    expect(build('FROM busybox\nCOPY . /all', 'sh -c "cd /all; find . -type f | sort"').stdout).toBe('./.dockerignore\n./a.txt\n./b.txt\n./p.tar\n./sub/deep/d\n./sub/keep.md\n');
  });
  it('patterns', () => {
    const kept = (rules: string, ...names: string[]): string[] => names.filter((n) => !isIgnored(n, readIgnore(rules)));
    expect(kept('*.md\n!README.md\n', 'a.md', 'README.md', 'x/a.md')).toEqual(['README.md', 'x/a.md']);
    expect(kept('**/*.md', 'a.md', 'x/y/a.md', 'a.txt')).toEqual(['a.txt']);
    expect(kept('x\n!x/keep', 'x/a', 'x/keep', 'y')).toEqual(['x/keep', 'y']);
    expect(kept('*\n!src/**\n# no\n\n/src/tmp', 'a', 'src/a', 'src/tmp/b')).toEqual(['src/a']);
    expect(kept('a?c\n[xy]', 'abc', 'ac', 'x', 'z')).toEqual(['ac', 'z']);
  });
});

it('words', () => {
  const values = new Map([['A', 'aa'], ['E', '']]);
  const table: [string, string][] = [['$A', 'aa'], ['${A}b', 'aab'], ["'$A'", '$A'], ['"$A x"', 'aa x'], ['\\$A', '$A'], ['${E:-d}', 'd'], ['${E-d}', ''], ['${N-d}', 'd'], ['${A:+y}', 'y'], ['${N:+y}', ''], ['${N:-${A}}', 'aa'], ['a"b"\'c\'', 'abc'], ['${A#a}', 'a'], ['${A%%a*}', ''], ['$', '$']];
  for (const [source, wanted] of table) expect([source, expand(source, values)]).toEqual([source, wanted]);
});
