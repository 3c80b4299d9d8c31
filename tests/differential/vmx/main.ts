/** The example of a hypervisor of one's own and the mistakes in it, on both; what differs is told. */
import { GOOD, lastWords, MISTAKES, changed, SOURCE } from '../../unit/cpu/own-vmx-mistakes.ts';
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
const good = judge(forBochs(SOURCE));
compare('the example', GOOD, good, good.trimEnd() === GOOD.trimEnd());
for (const mistake of MISTAKES) {
  const text = judge(forBochs(changed(mistake)));
  compare(mistake.what, String(mistake.says), lastWords(text), mistake.says.test(lastWords(text)));
}
process.stdout.write(`${MISTAKES.length + 1} programs, ${differences} differences\n`);
