// Runs commands, a line of JSON on standard input each, one after the other; what came of them is
// a line on standard output. "do" names the command, which is given the whole line.
'use strict';

const readline = require('readline');

function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}

async function run(commands) {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const task = JSON.parse(line);
        try {
            say({ ok: task.do, ...await commands[task.do](task) });
        } catch (e) {
            say({ failed: task.do, error: e.name, text: String(e.message).slice(0, 500) });
        }
    }
    process.exit(0);
}

module.exports = { run, say };
