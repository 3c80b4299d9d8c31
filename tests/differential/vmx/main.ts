/**
 * The example of a hypervisor of one's own and the mistakes in it, every rule of a VM entry, and random entries (--count, --seed),
 * on both; what differs is told.
 */
import { GOOD, lastWords, MISTAKES, changed, SOURCE } from '../../unit/cpu/own-vmx-mistakes.ts';
import { compareEntries, randomCases, ruleCases } from './entries.ts';
import { END, judge, lacking, nasm } from './bochs.ts';

const missing = lacking();
if (missing) {
  process.stdout.write(`not run: ${missing} is not there\n`);
  process.exit(77);
}
const FINISH = '    mov eax, edi\n    out DEBUG_EXIT, al\n    cli\n    hlt\n    jmp finish\n';
const forBochs = (source: string): Uint8Array => {
  if (!source.includes(FINISH)) throw new Error('the end of the example is another');
  return nasm(source.replace(FINISH, `${END}\n`));
};
let differences = 0;
const compare = (what: string, expected: string, got: string, same: boolean): void => {
  process.stdout.write(`${same ? 'same' : 'DIFFERS'}: ${what}${same ? '' : `\n  here  ${expected.trimEnd()}\n  bochs ${got.trimEnd()}`}\n`);
  if (!same) differences++;
};

/** The example and the mistakes. */
function programs(): void {
  const good = judge(forBochs(SOURCE));
  compare('the example', GOOD, good, good.trimEnd() === GOOD.trimEnd());
  for (const mistake of MISTAKES) {
    const text = lastWords(judge(forBochs(changed(mistake))));
    if (mistake.bochs) process.stdout.write(`${mistake.says.test(text) ? 'same, though it is said otherwise' : 'explained'}: ${mistake.what}: ${mistake.bochs}\n`);
    else compare(mistake.what, String(mistake.says), text, mistake.says.test(text));
  }
  process.stdout.write(`${MISTAKES.length + 1} programs, ${differences} differences\n`);
}
if (!process.argv.includes('--entries')) programs();

const option = (name: string, usual: number): number => {
  const n = process.argv.indexOf(`--${name}`);
  return n < 0 ? usual : Number(process.argv[n + 1]);
};
const explained = new Map<string, number>();
const tell = (cases: Parameters<typeof compareEntries>[0]): void => {
  for (const d of compareEntries(cases)) {
    if (d.reason) {
      explained.set(d.reason, (explained.get(d.reason) ?? 0) + 1);
      continue;
    }
    process.stdout.write(`DIFFERS: ${d.what}\n  here  ${d.here}\n  bochs ${d.bochs}\n`);
    differences++;
  }
};
tell(ruleCases());
process.stdout.write(`${ruleCases().length} entries by rule\n`);
const BATCH = 1500;
const count = option('count', BATCH);
for (let n = 0; n < count; n += BATCH) tell(randomCases(Math.min(BATCH, count - n), option('seed', 1) + n));
for (const [reason, times] of explained) process.stdout.write(`explained, ${times} times: ${reason}\n`);
process.stdout.write(`${count} random entries, ${differences} differences in all\n`);
process.exit(differences === 0 ? 0 : 1);
