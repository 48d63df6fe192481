"""Every route with every kind of credential: what no row allows must be refused.

The routes come from the router's own table (reliability.md, row 8), so a new route without
a row in NEEDS fails here until somebody says what it takes.
"""
import base64
import os
import re

import harness
import pki

DPS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/muster"
HUB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/muster"
CONSUMERS = HUB + "/eventHubEndpoints/events/ConsumerGroups"
PROVIDER = "/subscriptions/{}/providers/Microsoft.Devices"
GROUP = {"attestation": {"type": "symmetricKey"}}
EST = "/.well-known/est"
# route, the right it takes (None: open to all, "public": so, but there is nothing to get here,
# a right with "!": of operators alone, "operator": an operator's certificate alone, "device": the device's own credential alone), a good body
NEEDS = {
    "POST /devices/query": ("RegistryRead", {"query": "select * from devices"}),
    "GET /devices": ("RegistryRead", None),
    "POST /devices": ("RegistryWrite", [{"id": "nobody", "importMode": "updateTwin", "tags": {}}]),
    "GET /statistics/devices": ("RegistryRead", None),
    "GET /statistics/service": ("ServiceRead", None),
    "GET /devices/{}": ("RegistryRead", None),
    "PUT /devices/{}": ("RegistryWrite", {"status": "enabled"}),
    "DELETE /devices/{}": ("RegistryWrite", None),
    "GET /twins/{}": ("ServiceRead", None),
    "PATCH /twins/{}": ("ServiceConnect", {"tags": {}}),
    "PUT /twins/{}": ("ServiceConnect", {"tags": {}}),
    "GET /devices/{}/modules": ("RegistryRead", None),
    "GET /devices/{}/modules/{}": ("RegistryRead", None),
    "PUT /devices/{}/modules/{}": ("RegistryWrite", {"managedBy": "test"}),
    "DELETE /devices/{}/modules/{}": ("RegistryWrite", None),
    "GET /twins/{}/modules/{}": ("ServiceRead", None),
    "PATCH /twins/{}/modules/{}": ("ServiceConnect", {"tags": {}}),
    "PUT /twins/{}/modules/{}": ("ServiceConnect", {"tags": {}}),
    "POST /devices/keys/regenerate": ("RegistryWrite", {"policyKey": "both",
                                                        "devices": [{"id": "nobody"}]}),
    "GET /configurations": ("RegistryRead", None),
    "POST /configurations/testQueries": ("RegistryRead", {"targetCondition": "*"}),
    "GET /configurations/{}": ("RegistryRead", None),
    "PUT /configurations/{}": ("RegistryWrite", {"content": {"deviceContent": {}}}),
    "DELETE /configurations/{}": ("RegistryWrite", None),
    "POST /devices/{}/applyConfigurationContent": ("ServiceConnect", {"deviceContent": {}}),
    "POST /jobs/create": ("RegistryWrite", {
        "type": "import", "inputBlobContainerUri": "http://127.0.0.1:9/a/b?sig=x",
        "outputBlobContainerUri": "http://127.0.0.1:9/a/b?sig=x"}),
    "GET /jobs": ("RegistryRead", None),
    "GET /jobs/{}": ("RegistryRead", None),
    "DELETE /jobs/{}": ("RegistryWrite", None),
    "GET /jobs/v2/query": ("RegistryRead", None),
    "GET /jobs/v2/{}": ("RegistryRead", None),
    "PUT /jobs/v2/{}": ("RegistryWrite", {"type": "scheduleUpdateTwin", "updateTwin": {"tags": {}},
                                          "queryCondition": "deviceId = 'nobody'"}),
    "POST /jobs/v2/{}/cancel": ("RegistryWrite", None),
    "POST /enrollmentGroups/query": ("EnrollmentRead", {"query": "*"}),
    "GET /enrollmentGroups/{}": ("EnrollmentRead", None),
    "PUT /enrollmentGroups/{}": ("EnrollmentWrite", GROUP),
    "DELETE /enrollmentGroups/{}": ("EnrollmentWrite", None),
    "POST /enrollmentGroups/{}/attestationmechanism": ("EnrollmentWrite", None),
    "POST /enrollmentGroups": ("EnrollmentWrite", {"mode": "delete", "enrollmentGroups": [
        {"enrollmentGroupId": "nobody"}]}),
    "POST /enrollments": ("EnrollmentWrite", {"mode": "delete", "enrollments": [
        {"registrationId": "nobody"}]}),
    "POST /enrollments/query": ("EnrollmentRead", {"query": "*"}),
    "GET /enrollments/{}": ("EnrollmentRead", None),
    "PUT /enrollments/{}": ("EnrollmentWrite", GROUP),
    "DELETE /enrollments/{}": ("EnrollmentWrite", None),
    "POST /enrollments/{}/attestationmechanism": ("EnrollmentWrite", None),
    "GET /registrations/{}": ("RegistrationStatusRead", None),
    "DELETE /registrations/{}": ("RegistrationStatusWrite", None),
    "POST /registrations/{}/query": ("RegistrationStatusRead", None),
    "GET " + DPS + "/certificates": ("Observe", None),
    "GET " + DPS + "/certificates/{}": ("Observe", None),
    "PUT " + DPS + "/certificates/{}": ("Manage", "CA"),
    "DELETE " + DPS + "/certificates/{}": ("Manage", None),
    "POST " + DPS + "/certificates/{}/generateVerificationCode": ("Manage", None),
    # looked up first (Observe); what follows takes Manage (test_enrollments.py)
    "POST " + DPS + "/certificates/{}/verify": ("Observe", "CA"),
    "GET " + HUB + "/certificates": ("Observe", None),
    "GET " + HUB + "/certificates/{}": ("Observe", None),
    "PUT " + HUB + "/certificates/{}": ("Manage", "CA"),
    "DELETE " + HUB + "/certificates/{}": ("Manage", None),
    "POST " + HUB + "/certificates/{}/generateVerificationCode": ("Manage", None),
    # as above (test_arm.py)
    "POST " + HUB + "/certificates/{}/verify": ("Observe", "CA"),
    "GET " + HUB + "/IotHubStats": ("Observe", None),
    "GET " + HUB + "/skus": ("Observe", None),
    "GET " + HUB + "/routingEndpointsHealth": ("Observe", None),
    "POST " + HUB + "/routing/routes/$testnew": ("Observe", {"route": {
        "name": "r", "source": "DeviceMessages", "endpointNames": ["events"]}}),
    "POST " + HUB + "/routing/routes/$testall": ("Observe", {}),
    "GET " + CONSUMERS: ("Observe", None),
    "GET " + CONSUMERS + "/{}": ("Observe", None),
    "PUT " + CONSUMERS + "/{}": ("Manage", {"properties": {}}),
    "DELETE " + CONSUMERS + "/{}": ("Manage", None),
    "GET /subscriptions": ("Observe", None),
    "GET /subscriptions/{}": ("Observe", None),
    "GET /subscriptions/{}/resourceGroups": ("Observe", None),
    "GET /subscriptions/{}/resourceGroups/{}": ("Observe", None),
    "GET " + PROVIDER: ("Observe", None),
    "POST " + PROVIDER + "/checkNameAvailability": ("Observe", {"name": "x"}),
    "POST " + PROVIDER + "/checkProvisioningServiceNameAvailability": ("Observe", {"name": "x"}),
    "GET " + PROVIDER + "/IotHubs": ("Observe", None),
    "GET " + PROVIDER + "/provisioningServices": ("Observe", None),
    "GET " + HUB.rpartition("/")[0]: ("Observe", None),
    "GET " + DPS.rpartition("/")[0]: ("Observe", None),
    "PATCH " + HUB: ("Manage", {"tags": {}}),
    "GET " + DPS: ("Observe", None),
    "PUT " + DPS: ("Manage", {"properties": {}}),
    "PATCH " + DPS: ("Manage", {"tags": {}}),
    "POST " + DPS + "/listkeys": ("Manage", None),
    "POST " + DPS + "/keys/{}/listkeys": ("Manage", None),
    "GET " + HUB: ("Observe", None),
    "PUT " + HUB: ("Manage", {"properties": {}}),
    "POST " + HUB + "/listkeys": ("Manage", None),
    "POST " + HUB + "/IotHubKeys/{}/listkeys": ("Manage", None),
    **{"GET %s%s/%s" % (EST, label, what): (None, None)
       for label in ("", "/{}") for what in ("cacerts", "csrattrs")},
    **{"POST %s%s/%s" % (EST, label, what): ("operator", "CSR")
       for label in ("", "/{}") for what in ("simpleenroll", "simplereenroll", "serverkeygen")},
    "POST /muster/checkin": ("device", {}),
    "GET /muster/tokens": ("Enroll", None),
    "PUT /muster/tokens/{}": ("Enroll", {}),
    "DELETE /muster/tokens/{}": ("Enroll", None),
    "GET /muster/enrolments": ("Enroll", None),
    "POST /muster/enrolments/{}": ("Enroll", {"approve": True}),
    "GET /muster/renew-allow": ("Enroll", None),
    "PUT /muster/renew-allow/{}": ("Enroll", {"untilMs": 0}),
    "GET /muster/certificates": ("RegistryRead", None),
    "GET /muster/compliance": ("RegistryRead", None),
    "POST /muster/revoke": ("Manage", {"deviceId": "nobody"}),
    "POST /muster/issuers/{}/revoke": ("Manage", {}),
    "GET /muster/issuers/{}/drill": ("RegistryRead!", None),
    "GET /muster/rollover": ("RegistryRead!", None),
    "PUT /muster/rollover": ("Manage", {}),
    "GET /muster/rollover/devices": ("RegistryRead!", None),
    "GET /muster/issuers": ("RegistryRead", None),
    "PUT /muster/issuers/{}": ("Manage", {"state": "trusted"}),
    "GET /crl/{}/{}": ("public", None),
    "GET /ca/{}": ("public", None),
    "POST /ocsp": ("public", {}),
    "GET /ocsp/*": ("public", None),
    "GET /muster/crl": ("RegistryRead", None),
    "PUT /muster/crl": ("Manage", {}),
    "GET /muster/health": ("ServiceRead", None),
    "POST /twins/{}/methods": ("ServiceConnect", {"methodName": "m"}),
    "POST /twins/{}/modules/{}/methods": ("ServiceConnect", {"methodName": "m"}),
    "POST /messages/devicebound": ("ServiceConnect", {}),
    "POST /devices/{}/messages/devicebound": ("ServiceConnect", {}),
    "DELETE /devices/{}/commands": ("ServiceConnect", None),
    "GET /messages/servicebound/feedback": ("ServiceConnect", None),
    "DELETE /messages/servicebound/feedback/{}": ("ServiceConnect", None),
    "POST /messages/servicebound/feedback/{}/abandon": ("ServiceConnect", {}),
    "GET /muster/events": ("ServiceRead", None),
    "GET /$iothub/websocket": ("public", None),
    "GET /$servicebus/websocket": ("public", None),
    "GET /": ("public", None),
    "GET /mqtt": ("public", None),
    "GET /muster/connections": ("ServiceRead", None),
    "GET /metrics": ("ServiceRead", None),
    "POST /devices/{}/messages/events": ("device", {}),
    "POST /devices/{}/modules/{}/messages/events": ("device", {}),
    "GET /devices/{}/messages/devicebound": ("device", None),
    "DELETE /devices/{}/messages/devicebound/{}": ("device", None),
    "POST /devices/{}/messages/devicebound/{}/abandon": ("device", None),
    "POST /devices/{}/files": ("device", {"blobName": "x"}),
    "POST /devices/{}/files/notifications": ("device", {"correlationId": "x", "isSuccess": True}),
    "POST /devices/{}/files/notifications/{}": ("device", {"isSuccess": True}),
    "GET /messages/serviceBound/filenotifications": ("ServiceConnect", None),
    "DELETE /messages/serviceBound/filenotifications/{}": ("ServiceConnect", None),
    "POST /messages/serviceBound/filenotifications/{}/abandon": ("ServiceConnect", None),
    **{"GET /adfs%s/.well-known/openid-configuration" % more: (None, None)
       for more in ("", "/adfs")},
    "POST /adfs/oauth2/token": ("sign in", {}),
    "GET /muster/audit": ("Observe", None),
    "GET /muster/operators": ("Observe", None),
    "GET /muster/operators/{}": ("Observe", None),
    "PUT /muster/operators/{}": ("Manage", {"role": "none"}),
    "DELETE /muster/operators/{}": ("Manage", None),
    "PUT /{}/registrations/{}/register": ("device", {}),
    "GET /{}/registrations/{}/operations/{}": ("device", None),
    "POST /{}/registrations/{}": ("device", None),
}


# What a role may, and whom a token must be for to use it (tbl/role.def, domain/access/signin.c).
SEES = {"RegistryRead", "ServiceRead", "EnrollmentRead", "RegistrationStatusRead", "Observe"}
ROLES = {"owner": None, "none": set(), "reader": SEES,
         "registry": SEES | {"RegistryWrite", "ServiceConnect", "EnrollmentWrite",
                             "RegistrationStatusWrite"}}
PLANES = {
    "arm": ("https://127.0.0.1/", {"Manage", "Enroll", "Observe"}),
    "hub": ("https://iothubs.azure.net",
            {"RegistryRead", "RegistryWrite", "ServiceRead", "ServiceConnect"}),
    "dps": ("https://azure-devices-provisioning.net",
            {"EnrollmentRead", "EnrollmentWrite", "RegistrationStatusRead",
             "RegistrationStatusWrite"})}
OWNER = set().union(*(rights for _, rights in PLANES.values()))


def source(name):
    path = os.path.join(os.path.dirname(__file__), "../../src/tbl", name)
    with open(path, encoding="utf-8") as f:
        return f.read()


def routes():
    """METHOD path of each row of the table, ARM's placeholders filled."""
    text = source("route.def").split("#define ROUTE_ARM_PROVIDER", 1)[1]
    found = []
    for method, where in re.findall(r'^ROUTE\((\w+), ([^,]+),', text, re.M):
        macros = {"ROUTE_ARM_HUB": HUB, "ROUTE_ARM_CONSUMERS": CONSUMERS, "ROUTE_ARM_DPS": DPS,
                  "ROUTE_EST": EST,
                  "ROUTE_ARM_HUBS": HUB.rpartition("/")[0], "ROUTE_ARM_PROVIDER": PROVIDER,
                  "ROUTE_ARM_DPSS": DPS.rpartition("/")[0]}
        where = "".join(macros.get(part, part.strip('"')) for part in where.split())
        found.append("%s %s" % (method, where))
    return found


class Matrix(harness.ServerCase):
    """Routes against callers. policies: the rights of each, of hub and DPS; keys: theirs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rows = [r for plane in (HUB, DPS)
                for r in cls.server.operator().post(plane + "/listkeys").json["value"]]
        cls.keys = {r["keyName"]: base64.b64decode(r["primaryKey"]) for r in rows}
        cls.policies = {r["keyName"]: {x.strip() for x in r["rights"].split(",")} for r in rows}
        for rights in cls.policies.values():
            rights |= {"ServiceRead"} if "ServiceConnect" in rights else set()
        service = pki.Issuer(os.path.join(cls.server.home, "ca", "service-ca.pem"),
                             os.path.join(cls.server.home, "ca", "service-ca.key"))
        cls.service_ca = service
        with open(cls.device_ca.cert, "rb") as f:
            cls.ca_body = {"certificate": base64.b64encode(f.read()).decode()}
        key = pki.make_key(os.path.join(cls.parent, "csr.key"))
        cls.csr = base64.b64encode(pki.openssl("req", "-new", "-key", key, "-subj", "/CN=est-1",
                                               "-outform", "DER")).decode()

    def ask(self, caller, route, device, scope=None):
        method, path = route.split(" ", 1)
        body = {"CSR": self.csr, "CA": self.ca_body}.get(str(NEEDS[route][1]), NEEDS[route][1])
        more = {"If_Match": "*"} if "/certificates" in path and method != "PUT" else {}
        if path.startswith("/{}/registrations/") and scope:
            path = path.replace("{}", scope, 1)
        return caller.call(method, path.replace("{}", device), body,
                           iothub_to="/devices/%s/messages/devicebound" % device, **more)

    def by_policy(self, policy):
        return self.server.anybody(
            harness.token("127.0.0.1", self.keys[policy], policy=policy))

    def judge(self, got, right, is_open):
        """What came, against whether this caller may: a right of NEEDS, as text."""
        if right == "sign in":
            self.assertIn(got.status, (400, 401), got)
        elif right in ("None", "public") or is_open:
            self.assertNotIn(got.status, (401, 403), got)
            self.assertLess(got.status, 500, got)
        else:  # serverkeygen is off
            self.assertIn(got.status, (401, 403) + ((404,) if right == "operator" else ()), got)
            self.assertNotIn("primaryKey", got.text)


class Rights(Matrix):
    def test_every_route_has_its_row_here(self):
        self.assertEqual(sorted(routes()), sorted(NEEDS))
        self.assertEqual([r for r, (right, _) in NEEDS.items() if right is None],
                         ["GET %s%s/%s" % (EST, label, what) for label in ("", "/{}")
                          for what in ("cacerts", "csrattrs")] +
                         ["GET /adfs%s/.well-known/openid-configuration" % more
                          for more in ("", "/adfs")])

    def refuses(self, name, caller):
        for route, (right, _) in NEEDS.items():
            with self.subTest(who=name, route=route):
                got = self.ask(caller, route, "nobody")
                if right is None:
                    self.assertEqual(got.status, 200)
                    continue
                if right == "public":
                    self.assertNotIn(got.status, (401, 403), got)
                    continue
                if right == "sign in":
                    self.assertIn(got.status, (400, 401), got)
                    continue
                # serverkeygen is off (404), which even a wrong one-time token is told
                off = (404,) if route.endswith("/serverkeygen") else ()
                self.assertIn(got.status, (401, 403) + off, got)
                self.assertNotIn("primaryKey", got.text)

    def test_nobody(self):
        self.refuses("nobody", self.server.anybody())

    def test_tokens_that_are_none(self):
        for text in ("x", "Bearer x", "Basic YTpi", "SharedAccessSignature",
                     "SharedAccessSignature sr=127.0.0.1&sig=x&se=1&skn=iothubowner",
                     "SharedAccessSignature sr=127.0.0.1&sig=&se=99999999999&skn=iothubowner"):
            self.refuses(text, self.server.anybody(text))

    def test_tokens_of_devices_groups_and_strangers(self):
        device, group = self.sas_device("r-dev"), self.sas_group("r-group")
        token = harness.token
        for name, text in (
                ("device", token("127.0.0.1/devices/r-dev", device)),
                ("device as policy", token("127.0.0.1", device, policy="r-dev")),
                ("group", token(harness.SCOPE + "/registrations/r-1", group, policy="registration")),
                ("stranger", token("127.0.0.1", os.urandom(32), policy="iothubowner")),
                ("expired", token("127.0.0.1", self.keys["iothubowner"], -400, "iothubowner")),
                ("elsewhere", token("elsewhere", self.keys["iothubowner"], policy="iothubowner")),
                ("no name", token("127.0.0.1", self.keys["iothubowner"])),
                ("narrow", token("127.0.0.1/devices/x", self.keys["iothubowner"],
                                 policy="iothubowner")),
                ("prefix", token("127.0.0", self.keys["iothubowner"], policy="iothubowner")),
                ("hub policy for DPS", token("127.0.0.1", self.keys["iothubowner"],
                                             policy="provisioningserviceowner"))):
            self.refuses(name, self.server.anybody(text))

    def test_each_policy_has_its_rights_and_no_more(self):
        for policy, rights in self.policies.items():
            caller = self.by_policy(policy)
            for number, (route, (right, _)) in enumerate(NEEDS.items()):
                with self.subTest(policy=policy, route=route):
                    got = self.ask(caller, route, "p%d-%s" % (number, policy))
                    self.judge(got, str(right), right in rights)

    def test_certificates_that_are_no_operators(self):
        now = pki.datetime.datetime.now(pki.datetime.timezone.utc)
        foreign = pki.make_ca(self.path("foreign"), "muster Service Issuing CA")
        for name, files in (
                ("device", self.leaf("admin")),
                ("self-signed", pki.self_signed(self.path("self"), "admin")[:2]),
                ("foreign", self.leaf("admin", issuer=foreign)),
                ("service CA, not registered", self.leaf("admin", issuer=self.service_ca)),
                ("service CA, expired", self.leaf("admin", issuer=self.service_ca,
                                                  start=now - 9 * pki.DAY, end=now - pki.DAY))):
            self.refuses(name, self.server.anybody(cert=files[0], key=files[1]))

    def test_operator_may_all(self):
        for number, (route, (right, _)) in enumerate(NEEDS.items()):
            with self.subTest(route):
                got = self.ask(self.op, route, "op-%d" % number)
                if right in ("device", "sign in"):
                    self.assertIn(got.status, (400, 401), got)
                    continue
                self.assertNotIn(got.status, (401, 403, 500, 503), got)

    def test_each_role_has_its_rights_on_its_plane_and_no_more(self):
        self.assertEqual(set(ROLES), set(re.findall(r'^ROLE\(\w+, "(\w+)"', source("role.def"),
                                                    re.M)))
        for role, rights in ROLES.items():
            if role == "owner":
                rights = OWNER
            for plane, (audience, of_plane) in PLANES.items():
                caller = self.signed_in(role, audience)
                for number, (route, (right, _)) in enumerate(NEEDS.items()):
                    with self.subTest(role=role, plane=plane, route=route):
                        got = self.ask(caller, route, "o%d-%s-%s" % (number, role, plane))
                        right = str(right).rstrip("!")
                        self.judge(got, right, right in rights & of_plane)

    def test_tokens_of_operators_that_are_no_good(self):
        good = self.signed_in("owner", PLANES["arm"][0]).auth
        for name, text in (("cut", good[:-4]), ("other scheme", good.replace("Bearer", "Basic")),
                           ("as a SAS", good.replace("Bearer", "SharedAccessSignature")),
                           ("signed by nobody", good.rsplit(".", 1)[0] + "." + "A" * 86)):
            self.refuses(name, self.server.anybody(text))

    def test_a_wrong_token_is_not_mended_by_a_certificate(self):
        base = os.path.join(self.server.home, "operators", "admin")
        caller = self.server.anybody("SharedAccessSignature sr=x&sig=eA%3D%3D&se=1",
                                     base + ".pem", base + ".key")
        self.assertEqual(caller.get("/devices").status, 401)

    def test_stolen_operator_certificate(self):
        base = os.path.join(self.server.home, "operators", "admin")
        thief = pki.stolen(base + ".key", pki.make_key(self.path("own.key")),
                           self.path("thief.key"))
        with self.assertRaises(OSError):
            self.server.anybody(cert=base + ".pem", key=thief).get("/devices")

    def test_forged_headers_give_nothing(self):
        with open(os.path.join(self.server.home, "operators", "admin.pem"), encoding="ascii") as f:
            pem = f.read()
        caller = self.server.anybody()
        for name in ("X-Client-Cert", "X-ARR-ClientCert", "X-SSL-Client-Cert", "Forwarded",
                     "X-Forwarded-For", "X-Forwarded-Client-Cert"):
            got = caller.call("GET", "/devices", None, **{
                name: base64.b64encode(pem.encode()).decode()})
            self.assertEqual(got.status, 401, name)

    def test_refusals_are_in_the_connection_log(self):
        self.server.anybody().get("/devices")
        rows = self.op.connections(what="refused", plane="service")
        self.assertTrue(rows)
        self.assertTrue(all(r["reason"] and r["peer"] for r in rows))

    def test_authorization_twice(self):
        token = harness.token("127.0.0.1", self.keys["iothubowner"], policy="iothubowner")
        with harness.mqtt.tls(self.server.ca).wrap_socket(harness.socket.create_connection(
                ("127.0.0.1", self.server.https_port), 10), server_hostname="127.0.0.1") as s:
            s.sendall(("GET /devices?api-version=1 HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\n"
                       "Authorization: %s\r\n\r\n" % token).encode())
            self.assertIn(b" 40", s.recv(4096).split(b"\r\n")[0])


# The seal's stages as muster migrate seal throws them (fleet/seal.c), each with those before it.
STAGES = ((), ("disableDeviceSAS",), ("disableDeviceSAS", "disableModuleSAS"),
          ("disableDeviceSAS", "disableModuleSAS", "disableLocalAuth"))


class Sealed(Matrix):
    """The table again after each stage of the seal: who goes by a key is out, nobody else is."""

    DEVICE = "seal-d"  # and its module, which has the same name
    SAS = {"device": "disableDeviceSAS", "registration": "disableDeviceSAS",
           "module": "disableModuleSAS"}

    def of_kind(self, kind):
        """The routes that a device's own credential of that kind opens."""
        routes = {r for r, (right, _) in NEEDS.items() if right == "device"}
        modules = {r for r in routes if "/modules/" in r}
        registrations = {r for r in routes if "/registrations/" in r}
        checkin = {"POST /muster/checkin"}
        return {"module": modules, "registration": registrations,
                "device": routes - modules - registrations - checkin,
                "certificate": routes - modules}[kind]

    def own_credentials(self):
        """A caller by each kind of credential that a device has."""
        key, group, token = self.sas_device(self.DEVICE), self.sas_group(), harness.token
        module = self.good(self.op.put("/devices/%s/modules/%s" % (self.DEVICE, self.DEVICE), {}))
        module_key = base64.b64decode(module["authentication"]["symmetricKey"]["primaryKey"])
        self.x509_group()
        self.ca_device("seal-x")
        cert, cert_key = self.leaf("seal-x")
        resource = "127.0.0.1/devices/" + self.DEVICE
        return {
            "device": (self.DEVICE, self.server.anybody(token(resource, key))),
            "module": (self.DEVICE, self.server.anybody(
                token(resource + "/modules/" + self.DEVICE, module_key))),
            "registration": ("seal-r", self.server.anybody(
                token(harness.SCOPE + "/registrations/seal-r", harness.derive(group, "seal-r"),
                      policy="registration"))),
            "certificate": ("seal-x", self.server.anybody(cert=cert, key=cert_key))}

    def holds(self, stage, who, caller, device, is_open, routes=None):
        """is_open(right, route): whether that caller may. routes: others than all."""
        for route in routes or NEEDS:
            right = NEEDS[route][0]
            with self.subTest(stage=stage, who=who, route=route):
                got = self.ask(caller, route, device, harness.SCOPE)
                self.judge(got, str(right), is_open(right, route))

    def others(self):
        """Callers that no stage touches: themselves and what they may."""
        yield "nobody", self.server.anybody(), set()
        yield "expired", self.server.anybody(harness.token(
            "127.0.0.1", self.keys["iothubowner"], -400, "iothubowner")), set()
        yield "wrong", self.server.anybody(harness.token(
            "127.0.0.1", os.urandom(32), policy="iothubowner")), set()
        for role, plane in (("owner", "arm"), ("owner", "hub"), ("owner", "dps"),
                            ("registry", "hub"), ("reader", "hub"), ("none", "hub")):
            audience, rights = PLANES[plane]
            mine = OWNER if role == "owner" else ROLES[role]
            yield "%s on %s" % (role, plane), self.signed_in(role, audience), mine & rights
        yield "operator", self.op, OWNER | {"operator"}

    def own_hold(self, stage, own, routes=None):
        """What opens to a device's own credentials is what their switch leaves."""
        for kind, (device, caller) in own.items():
            mine = set() if self.SAS.get(kind) in stage else self.of_kind(kind)
            self.holds(stage, kind, caller, device, lambda _, route, r=mine: route in r, routes)

    def policies_hold(self, stage, names):
        for name in names:
            rights = set() if "disableLocalAuth" in stage else self.policies[name]
            self.holds(stage, name, self.by_policy(name), "nobody",
                       lambda right, _, r=rights: right in r)

    def others_hold(self, stage, others):
        for name, caller, rights in others:
            self.holds(stage, name, caller, "nobody",
                       lambda right, _, r=rights: str(right).rstrip("!") in r)

    def turn(self, stage):
        self.good(self.op.put(HUB, {"properties": {name: name in stage for name in STAGES[-1]}}))

    def is_at(self, stage):
        """Nothing that was asked since has moved a switch."""
        got = self.good(self.op.get(HUB))["properties"]
        self.assertEqual([name for name in STAGES[-1] if got[name]], list(stage))

    def test_each_stage_shuts_its_own_door_and_no_other(self):
        """At the last stage each caller at each route; before, a caller of each kind."""
        own, others = self.own_credentials(), list(self.others())
        devices = [route for route, (right, _) in NEEDS.items() if right == "device"]
        some = [o for o in others if o[0] in ("nobody", "owner on hub", "operator")]
        self.own_hold(STAGES[0], own, devices)
        for stage in STAGES[1:-1]:
            self.turn(stage)
            self.own_hold(stage, own, devices)
            self.policies_hold(stage, ("iothubowner", "provisioningserviceowner"))
            self.others_hold(stage, some)
            self.is_at(stage)
        self.turn(STAGES[-1])
        self.own_hold(STAGES[-1], own)
        self.policies_hold(STAGES[-1], self.policies)
        self.others_hold(STAGES[-1], others)
        self.is_at(STAGES[-1])
        self.turn(())
        self.own_hold((), own, devices)
        self.policies_hold((), ("iothubowner",))

    def test_the_stages_are_those_that_the_seal_throws(self):
        path = os.path.join(os.path.dirname(__file__), "../../src/fleet/seal.c")
        with open(path, encoding="utf-8") as f:
            thrown = re.findall(r'throw_switch\(s, "(\w+)"', f.read())
        self.assertEqual(tuple(thrown), STAGES[-1])


if __name__ == "__main__":
    harness.main()
