// The official management SDKs and the provisioning service's, unmodified: hubs, policies, the
// provisioning service, certificates, an enrollment group. What to do comes as JSON on standard
// input; what came of it goes as one JSON line to standard output.
'use strict';

const fs = require('fs');
const { IotHubClient } = require('@azure/arm-iothub');
const { IotDpsClient } = require('@azure/arm-deviceprovisioningservices');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const credential = {
    getToken: async () => ({ token: task.token, expiresOnTimestamp: Date.now() + 1800e3 }),
};
const options = { endpoint: task.endpoint, $host: task.endpoint };

async function all(pages) {
    const rows = [];
    for await (const row of pages) rows.push(row);
    return rows;
}

async function hub(said) {
    const client = new IotHubClient(credential, 'S', options).iotHubResource;
    said.hubs = (await all(client.listBySubscription())).map((h) => h.name);
    const name = said.hubs[0];
    const read = await client.get('RG', name);
    said.hostName = read.properties.hostName;
    read.properties.disableModuleSAS = true;
    const written = await client.beginCreateOrUpdateAndWait('RG', name, read,
        { ifMatch: read.etag });
    said.disableModuleSAS = written.properties.disableModuleSAS;
    said.tags = (await client.beginUpdateAndWait('RG', name, { tags: { a: 'b' } })).tags;
    said.policies = (await all(client.listKeys('RG', name))).map((p) => p.keyName);
    said.rights = (await client.getKeysForKeyName('RG', name, 'iothubowner')).rights;
    said.available = (await client.checkNameAvailability({ name })).nameAvailable;
    read.properties.publicNetworkAccess = 'Disabled';
    said.refused = await client.beginCreateOrUpdateAndWait('RG', name, read)
        .then(() => null, (e) => e.statusCode);
    said.missing = await client.get('RG', 'north').then(() => null, (e) => e.statusCode);
    await more(said, name);
}

async function more(said, name) {
    const client = new IotHubClient(credential, 'S', options);
    const made = await client.certificates.createOrUpdate('RG', name, 'hub-ca', {
        properties: { certificate: task.ca, isVerified: false },
    });
    const coded = await client.certificates.generateVerificationCode('RG', name, 'hub-ca',
        made.etag);
    said.hubCode = coded.properties.verificationCode.length;
    said.hubCertificates = (await client.certificates.listByIotHub('RG', name)).value
        .map((c) => c.name);
    await client.certificates.delete('RG', name, 'hub-ca', coded.etag);
    const hubs = client.iotHubResource;
    await hubs.createEventHubConsumerGroup('RG', name, 'events', 'sdk',
        { properties: { name: 'sdk' } });
    said.consumers = (await all(hubs.listEventHubConsumerGroups('RG', name, 'events')))
        .map((g) => g.name);
    await hubs.deleteEventHubConsumerGroup('RG', name, 'events', 'sdk');
    said.stats = (await hubs.getStats('RG', name)).totalDeviceCount;
    said.skus = (await all(hubs.listValidSkus('RG', name))).map((s) => s.sku.name);
    const read = await hubs.get('RG', name);
    read.properties.routing.routes = [{ name: 'all', source: 'DeviceMessages',
        condition: 'true', endpointNames: ['events'], isEnabled: true }];
    const routed = await hubs.beginCreateOrUpdateAndWait('RG', name, read);
    said.test = (await hubs.testRoute(name, 'RG', { route: read.properties.routing.routes[0],
        message: { body: 'x' } })).result;
    said.routes = routed.properties.routing.routes.map((r) => r.name);
}

async function dps(said) {
    const client = new IotDpsClient(credential, 'S', options);
    const one = (await all(client.iotDpsResource.listBySubscription()))[0];
    said.dps = one.name;
    const read = await client.iotDpsResource.get(one.name, 'RG');
    said.idScope = read.properties.idScope;
    read.properties.iotHubs[0].allocationWeight = 9;
    const written = await client.iotDpsResource.beginCreateOrUpdateAndWait('RG', one.name, read);
    said.weight = written.properties.iotHubs[0].allocationWeight;
    said.state = written.properties.provisioningState;
    const keys = await all(client.iotDpsResource.listKeys(one.name, 'RG'));
    const made = await client.dpsCertificate.createOrUpdate('RG', one.name, 'sdk', {
        properties: { certificate: Buffer.from(task.ca, 'base64'), isVerified: false },
    });
    const coded = await client.dpsCertificate.generateVerificationCode('sdk', made.etag, 'RG',
        one.name);
    said.code = coded.properties.verificationCode.length;
    said.certificates = (await client.dpsCertificate.list('RG', one.name)).value
        .map((c) => c.name);
    return keys[0];
}

async function groups(said, key) {
    const client = ProvisioningServiceClient.fromConnectionString(
        `HostName=${task.host};SharedAccessKeyName=${key.keyName};` +
        `SharedAccessKey=${key.primaryKey}`);
    const made = await client.createOrUpdateEnrollmentGroup({
        enrollmentGroupId: 'sdk-group',
        attestation: { type: 'symmetricKey' },
        initialTwin: { tags: { line: '7' }, properties: { desired: {} } },
    });
    said.group = made.responseBody.enrollmentGroupId;
    const read = (await client.getEnrollmentGroup('sdk-group')).responseBody;
    said.etag = Boolean(read.etag);
    said.keys = Boolean((await client.getEnrollmentGroupAttestationMechanism('sdk-group'))
        .responseBody.symmetricKey.primaryKey);
    const query = client.createEnrollmentGroupQuery({ query: '*' }, 10);
    said.listed = (await query.next()).responseBody.map((g) => g.enrollmentGroupId);
    await client.deleteEnrollmentGroup(read);
    said.gone = await client.getEnrollmentGroup('sdk-group').then(() => null,
        (e) => e.response && e.response.statusCode);
}

async function main() {
    const said = {};
    await hub(said);
    await groups(said, await dps(said));
    return said;
}

main().then((said) => console.log(JSON.stringify({ ok: true, ...said })),
    (e) => console.log(JSON.stringify({ ok: false, error: e.name, message: e.message })));
