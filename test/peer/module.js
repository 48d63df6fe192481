// A module on the official Azure SDKs, unmodified: its identity by the service SDK, its connection
// by the device SDK. What to do comes as JSON on standard input; what came of it goes as one JSON
// line to standard output.
'use strict';

const fs = require('fs');
const { Registry } = require('azure-iothub');
const { ModuleClient, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const own = { deviceId: task.device, moduleId: task.module };

// The names of errors, as a program that uses the SDK tells them apart.
async function failure(what) {
    try {
        await what;
        return null;
    } catch (e) {
        return e.name;
    }
}

async function registry() {
    const hub = Registry.fromConnectionString(task.connection);
    const body = async (what) => (await what).responseBody;
    const result = {};
    result.made = await body(hub.addModule({ ...own, managedBy: 'me' }));
    result.again = await failure(hub.addModule(own));
    result.got = await body(hub.getModule(task.device, task.module));
    result.listed = await body(hub.getModulesOnDevice(task.device));
    result.changed = await body(hub.updateModule({ ...result.got, managedBy: 'you' }));
    result.twin = await body(hub.getModuleTwin(task.device, task.module));
    result.patched = await body(hub.updateModuleTwin(task.device, task.module,
        { tags: { t: 1 }, properties: { desired: { d: 2 } } }, result.twin.etag));
    if (task.keep) return result;
    await hub.removeModule(task.device, task.module);
    result.gone = await failure(hub.getModule(task.device, task.module));
    result.left = await body(hub.getModulesOnDevice(task.device));
    return result;
}

async function client() {
    const module = ModuleClient.fromConnectionString(task.connection, Mqtt);
    await module.open();
    const message = new Message(JSON.stringify({ n: 0 }));
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.properties.add('alert', 'a b&c/d');
    await module.sendOutputEvent('alarms', message);
    await module.sendEvent(new Message(JSON.stringify({ n: 1 })));
    const twin = await module.getTwin();
    const desired = JSON.parse(JSON.stringify(twin.properties.desired));
    await new Promise((done, fail) => twin.properties.reported.update(
        { is: 1 }, (e) => (e ? fail(e) : done())));
    await module.close();
    return { desired };
}

(task.what === 'registry' ? registry() : client())
    .then((result) => ({ ok: true, ...result }))
    .catch((e) => ({ ok: false, error: e.name, text: String(e.message).slice(0, 500) }))
    .then((result) => process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0)));
